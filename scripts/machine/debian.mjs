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

/** @param {SetupContext} context @param {string[]} args */
function aptGet({ env }, args) {
  return runCommand('apt-get', ['-y', '-q', '-o', `DPkg::Lock::Timeout=${APT_LOCK_SECONDS}`, ...args], {
    env: { ...env, DEBIAN_FRONTEND: 'noninteractive' },
    hint: `run apt-get ${args.join(' ')} by hand and look at what it says`,
  });
}
