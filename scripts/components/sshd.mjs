import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isDebian, unpackDebianPackage } from '../machine/debian.mjs';
import { withLock } from '../machine/lock.mjs';
import { findProgram, isExecutable } from '../machine/run-command.mjs';
import { SetupError } from '../machine/setup-error.mjs';
import { readIfThere } from '../machine/write-file.mjs';

/** @typedef {import('../machine/context.mjs').SetupContext} SetupContext */

/**
 * Where the tests find an OpenSSH server.
 *
 * @typedef {object} SshServerFacts
 * @property {string} path
 * @property {string} [libraryPath] of libraries that the system lacks
 */

/** The second has a library that a bare machine lacks. */
const PACKAGES = ['openssh-server', 'libwrap0'];
const INSTALL_HINT = 'install the OpenSSH server (the tests start one of their own; the service need not run)';
/** What the server runs as before somebody has signed in, when it was started by root. */
const USER = 'sshd';

/** An OpenSSH server for the tests of Git over SSH. Nothing but `npm test` asks for it. */
export const name = 'sshd';

/**
 * @param {SetupContext} context
 * @returns {Promise<import('../machine/context.mjs').CheckResult>}
 */
export async function check(context) {
  const found = find(context);
  if (found !== undefined) return { ok: true, detail: found.path };
  return { ok: false, detail: 'there is no sshd for the tests of Git over SSH', fix: INSTALL_HINT };
}

/**
 * Uses the machine's server program; else, on Debian, unpacks its package into the cache. It is not installed, since an
 * installed one listens to the whole network and starts with the machine.
 *
 * @param {SetupContext} context
 * @returns {Promise<SshServerFacts>}
 * @throws {SetupError}
 */
export async function ensure(context) {
  if (find(context) === undefined) {
    if (!isDebian(readIfThere('/etc/os-release') ?? '')) throw new SetupError('no sshd', { hint: INSTALL_HINT });
    const folder = unpackedFolder(context);
    const onWait = (/** @type {number} */ pid) =>
      context.progress.note(`waiting for process ${pid}, which fetches sshd`);
    await withLock(`${folder}.lock`, { onWait }, async () => {
      if (find(context) === undefined) await unpackInto(folder, context);
    });
  }
  ensureUser();
  const found = find(context);
  if (found !== undefined) return found;
  throw new SetupError('the package openssh-server has no sshd', { hint: INSTALL_HINT });
}

/** The folder appears whole or not at all. @param {string} folder @param {SetupContext} context */
async function unpackInto(folder, context) {
  const step = {
    what: `downloading ${PACKAGES.join(', ')}`,
    why: 'the tests of Git over SSH start a server of their own',
  };
  const work = mkdtempSync(`${folder}-`);
  try {
    await context.progress.during(step, async () => {
      for (const name of PACKAGES) await unpackDebianPackage(context, name, work);
    });
    rmSync(folder, { recursive: true, force: true });
    renameSync(work, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** @param {SetupContext} context @returns {SshServerFacts | undefined} */
function find(context) {
  const path = findProgram('sshd', { env: context.env, alsoIn: ['/usr/sbin', '/usr/local/sbin'] });
  if (path !== undefined) return { path };
  const unpacked = join(unpackedFolder(context), 'usr', 'sbin', 'sshd');
  if (!isExecutable(unpacked)) return undefined;
  const libraries = join(unpackedFolder(context), 'usr', 'lib');
  const folders = existsSync(libraries) ? readdirSync(libraries).filter((folder) => folder.endsWith('-linux-gnu')) : [];
  return { path: unpacked, libraryPath: folders.map((folder) => join(libraries, folder)).join(':') };
}

/** @param {SetupContext} context */
function unpackedFolder({ cacheDir }) {
  return join(cacheDir, 'openssh-server');
}

/** The user of the package: without a home, a password and a shell. */
function ensureUser() {
  const isThere = () => (readIfThere('/etc/passwd') ?? '').split('\n').some((line) => line.startsWith(`${USER}:`));
  if (process.getuid?.() !== 0 || process.platform !== 'linux' || isThere()) return;
  const useradd = findProgram('useradd', { env: process.env, alsoIn: ['/usr/sbin', '/sbin'] }) ?? 'useradd';
  const options = ['--system', '--user-group', '--no-create-home', '--home-dir', '/run/sshd'];
  const { stderr, error } = spawnSync(useradd, [...options, '--shell', '/usr/sbin/nologin', USER], {
    encoding: 'utf8',
  });
  if (isThere()) return;
  throw new SetupError(`cannot create the system user ${USER}: ${error?.message ?? stderr.trim()}`, {
    hint: `create a system user called ${USER}`,
  });
}
