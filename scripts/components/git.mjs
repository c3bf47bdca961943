import { ensureDebianPackages, isDebianRoot } from '../machine/debian.mjs';
import { findProgram, runCommand } from '../machine/run-command.mjs';
import { SetupError } from '../machine/setup-error.mjs';
import { readIfThere } from '../machine/write-file.mjs';

/** @typedef {import('../machine/context.mjs').SetupContext} SetupContext */

/** The first that can be bound to an address which was checked (`http.curloptResolve`); Debian 12 has 2.39. */
const MINIMUM_VERSION = [2, 37];
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';
const VERSION_TIMEOUT_MS = 10_000;

/** What fetches sources from Git servers: git, and ssh for those that are reached by it. */
export const name = 'git';

/**
 * @param {SetupContext} context
 * @returns {Promise<import('../machine/context.mjs').CheckResult>}
 */
export async function check(context) {
  const git = findProgram('git', context);
  if (git === undefined) return missing('there is no git on the PATH');
  const answer = await runCommand(git, ['version'], { timeoutMs: VERSION_TIMEOUT_MS });
  const version = acceptedVersion(answer);
  if (version === undefined) {
    const minimum = MINIMUM_VERSION.join('.');
    return { ok: false, detail: `${git} is ${answer.trim()}`, fix: `install git ${minimum} or newer` };
  }
  if (findProgram('ssh', context) === undefined) return missing('there is no ssh on the PATH');
  return { ok: true, version, detail: `${git}, ssh` };
}

/**
 * Installs what is missing on Debian as root; elsewhere it says what to do, and only sources from Git are refused.
 *
 * @param {SetupContext} context
 * @returns {Promise<{}>}
 */
export async function ensure(context) {
  if ((await check(context)).ok) return {};
  if (isDebianRoot()) {
    try {
      await ensureDebianPackages(context, missingPackages(context), 'sources are fetched from Git servers with it');
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      context.progress.note(`git is not installed: ${error.message}`);
    }
  }
  const found = await check(context);
  if (!found.ok) context.progress.note(`sources from Git will be refused: ${found.detail} (${found.fix})`);
  return {};
}

/**
 * @param {string} answer of `git version`
 * @returns {string | undefined} its version when that can do what is needed
 */
export function acceptedVersion(answer) {
  const [version, major, minor] = /(\d+)\.(\d+)(?:\.\d+)*/.exec(answer) ?? [];
  const [wantedMajor = 0, wantedMinor = 0] = MINIMUM_VERSION;
  const isNewEnough = Number(major) > wantedMajor || (Number(major) === wantedMajor && Number(minor) >= wantedMinor);
  return isNewEnough ? version : undefined;
}

/** @param {string} detail */
function missing(detail) {
  return { ok: false, detail, fix: 'sudo apt-get install git openssh-client (on other systems: by its own means)' };
}

/** @param {SetupContext} context */
function missingPackages(context) {
  return [
    ...(findProgram('git', context) === undefined ? ['git'] : []),
    ...(findProgram('ssh', context) === undefined ? ['openssh-client'] : []),
    ...(readIfThere(CERTIFICATES) === undefined ? ['ca-certificates'] : []),
  ];
}
