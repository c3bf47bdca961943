import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './run-command.mjs';
import { SetupError } from './setup-error.mjs';
import { readIfThere } from './write-file.mjs';

/** @typedef {import('./context.mjs').SetupContext} SetupContext */

/** How long apt waits for another apt before it gives up. */
const APT_LOCK_SECONDS = 120;

/** @returns {boolean} whether packages may be installed here: Debian or a descendant, as root */
export function isDebianRoot() {
  return process.getuid?.() === 0 && isDebian(readIfThere('/etc/os-release') ?? '');
}

/**
 * @param {string} osRelease the text of /etc/os-release
 * @returns {boolean}
 */
export function isDebian(osRelease) {
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(osRelease);
}

/**
 * Installs packages, and removes none. The package lists are fetched only when the lists at hand don't do.
 *
 * @param {SetupContext} context
 * @param {string[]} packages
 * @param {string} why
 */
export async function ensureDebianPackages(context, packages, why) {
  if (packages.length === 0) return;
  await context.progress.during({ what: `installing ${packages.join(', ')} with apt-get`, why }, async () => {
    try {
      await aptGet(context, ['install', '--no-install-recommends', '--no-remove', ...packages]);
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      await aptGet(context, ['update']);
      await aptGet(context, ['install', '--no-install-recommends', '--no-remove', ...packages]);
    }
  });
}

/**
 * Fetches a package and unpacks it, without installing it: nothing of it is configured or started, and it needs no root
 * unless the package lists have to be fetched first.
 *
 * @param {SetupContext} context
 * @param {string} name
 * @param {string} folder an existing one
 * @throws {SetupError} where there is no such package or no apt-get
 */
export async function unpackDebianPackage(context, name, folder) {
  const download = () => runCommand('apt-get', ['download', name], { cwd: folder });
  await download().catch(async (error) => {
    if (!(error instanceof SetupError) || !isDebianRoot()) throw error;
    await aptGet(context, ['update']);
    await download();
  });
  const archive = readdirSync(folder).find((file) => file.startsWith(`${name}_`) && file.endsWith('.deb'));
  if (archive === undefined) throw new SetupError(`apt-get download ${name} left no package`);
  await runCommand('dpkg-deb', ['--extract', join(folder, archive), folder]);
}

/** @param {SetupContext} context @param {string[]} args */
function aptGet({ env }, args) {
  return runCommand('apt-get', ['-y', '-q', '-o', `DPkg::Lock::Timeout=${APT_LOCK_SECONDS}`, ...args], {
    env: { ...env, DEBIAN_FRONTEND: 'noninteractive' },
    hint: `run apt-get ${args.join(' ')} by hand and look at what it says`,
  });
}
