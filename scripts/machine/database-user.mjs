import { spawnSync } from 'node:child_process';
import { findProgram } from './run-command.mjs';
import { SetupError } from './setup-error.mjs';
import { readIfThere } from './write-file.mjs';

const USER = 'postgres';

/** Capability bits of capability.h that let a process pass folders which are closed to its user. */
const TRAVERSAL_CAPABILITIES = [
  { name: 'dac_read_search', bit: 2n },
  { name: 'dac_override', bit: 1n },
];
/** Without CAP_SETPCAP nothing can be handed on. */
const SETPCAP_BIT = 8n;

/**
 * The user that PostgreSQL runs as when this process is root, which PostgreSQL refuses to be. It is created when the
 * system has none.
 *
 * A checkout below /root and a state folder of mode 0700 are closed to that user. So the server keeps one ability of
 * root's: to read and pass folders (where a container has taken that one away: to ignore file modes). PostgreSQL asks
 * access(2) about its own program, which ignores that ability of an ordinary user unless no_setuid_fixup is set.
 *
 * @returns {{ uid: number, gid: number, prefix: string[] } | undefined} prefix: the command line before the
 *   program; undefined when this process is not root
 */
export function databaseUser() {
  if (process.getuid?.() !== 0) return undefined;
  const setpriv = findProgram('setpriv', { env: process.env, alsoIn: ['/usr/bin', '/bin'] });
  if (setpriv === undefined) {
    throw new SetupError('PostgreSQL does not run as root, and setpriv is not installed', {
      hint: 'apt-get install util-linux, or set DATABASE_URL, or work as an ordinary user',
    });
  }
  const ids = findIds() ?? createUser();
  const capability = traversalCapability(readIfThere('/proc/self/status') ?? '');
  const identity = [`--reuid=${ids.uid}`, `--regid=${ids.gid}`, '--clear-groups'];
  if (capability === undefined) return { ...ids, prefix: [setpriv, ...identity, '--'] };
  const kept = `-all,+${capability}`;
  const abilities = ['--securebits=+no_setuid_fixup', `--inh-caps=${kept}`, `--ambient-caps=${kept}`];
  return { ...ids, prefix: [setpriv, ...identity, ...abilities, '--'] };
}

/**
 * @param {string} status the text of /proc/self/status
 * @returns {string | undefined} the least capability that lets its owner pass closed folders, of those that this
 *   process may hand on; undefined when there is none, and the folders must then be open to the database's user
 */
export function traversalCapability(status) {
  const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (bounding === undefined) return undefined;
  const has = (/** @type {bigint} */ bit) => (BigInt(`0x${bounding}`) & (1n << bit)) !== 0n;
  return has(SETPCAP_BIT) ? TRAVERSAL_CAPABILITIES.find(({ bit }) => has(bit))?.name : undefined;
}

/** @returns {{ uid: number, gid: number } | undefined} */
function findIds() {
  const line = (readIfThere('/etc/passwd') ?? '').split('\n').find((entry) => entry.startsWith(`${USER}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

function createUser() {
  const useradd = findProgram('useradd', { env: process.env, alsoIn: ['/usr/sbin', '/sbin'] }) ?? 'useradd';
  const options = ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin'];
  const { stderr, error } = spawnSync(useradd, [...options, USER], { encoding: 'utf8' });
  const ids = findIds();
  if (ids !== undefined) return ids;
  throw new SetupError(`cannot create the system user ${USER}: ${error?.message ?? stderr.trim()}`, {
    hint: `create a system user called ${USER}`,
  });
}
