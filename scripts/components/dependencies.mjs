import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from '../machine/lock.mjs';
import { npmCommand } from '../machine/npm-command.mjs';
import { runCommand } from '../machine/run-command.mjs';
import { readIfThere, writeWhole } from '../machine/write-file.mjs';

/** @typedef {import('../machine/context.mjs').SetupContext} SetupContext */

const INSTALL_HINT = 'look at the lines above, then run npm start again; npm must reach its registry';

/** The packages of the lock file in node_modules. */
export const name = 'dependencies';

/**
 * Installed means: the stamp carries the hash of today's lock file, or what npm recorded in node_modules agrees with
 * it (somebody ran npm ci by hand).
 *
 * @param {SetupContext} context
 * @returns {Promise<import('../machine/context.mjs').CheckResult>}
 */
export async function check(context) {
  const missing = findDifference(context);
  if (missing === undefined) return { ok: true, detail: 'node_modules agrees with package-lock.json' };
  return { ok: false, detail: missing, fix: 'npm ci' };
}

/**
 * Runs `npm ci` when the lock file changed. Two set-ups of one checkout take turns.
 *
 * @param {SetupContext} context
 * @returns {Promise<{}>}
 */
export async function ensure(context) {
  if (findDifference(context) !== undefined) {
    const onWait = (/** @type {number} */ pid) => context.progress.note(`waiting for the set-up of process ${pid}`);
    await withLock(join(context.root, '.obiente', 'npm-ci.lock'), { onWait }, async () => {
      const difference = findDifference(context);
      if (difference !== undefined) await install(context, difference);
    });
  }
  writeWhole(stampPath(context), lockHash(context));
  return {};
}

/** @param {SetupContext} context @param {string} why */
async function install(context, why) {
  await context.progress.during({ what: 'installing the dependencies', why }, async () => {
    const npm = npmCommand(context);
    await runCommand(npm.command, [...npm.args, 'ci', '--no-fund', '--no-audit', '--loglevel=error'], {
      cwd: context.root,
      env: npm.env,
      hint: INSTALL_HINT,
    });
  });
}

/** @param {SetupContext} context @returns {string | undefined} what is not as the lock file says */
function findDifference(context) {
  const stamp = readIfThere(stampPath(context));
  if (stamp === lockHash(context)) return undefined;
  const installed = readIfThere(join(context.root, 'node_modules', '.package-lock.json'));
  if (installed === undefined) return 'they are not installed yet';
  const wanted = JSON.parse(readFileSync(join(context.root, 'package-lock.json'), 'utf8'));
  const different = differingPackage(wanted.packages, JSON.parse(installed).packages);
  return different === undefined ? undefined : `${different} is not as the lock file says`;
}

/**
 * Compares two npm lock files of version 3.
 *
 * @param {Record<string, { version?: string, integrity?: string, optional?: boolean, devOptional?: boolean }>} wanted
 * @param {Record<string, { version?: string, integrity?: string }>} installed
 * @returns {string | undefined} the path of the first package that is missing, superfluous or another version;
 *   optional packages may be missing, since they may belong to another platform
 */
export function differingPackage(wanted, installed) {
  const superfluous = Object.keys(installed).find((path) => wanted[path] === undefined);
  if (superfluous !== undefined) return superfluous;
  return Object.entries(wanted).find(([path, entry]) => {
    if (path === '') return false;
    const found = installed[path];
    if (found === undefined) return entry.optional !== true && entry.devOptional !== true;
    return found.version !== entry.version || found.integrity !== entry.integrity;
  })?.[0];
}

/** @param {SetupContext} context */
function stampPath({ root }) {
  return join(root, 'node_modules', '.obiente-lock-hash');
}

/** @param {SetupContext} context */
function lockHash({ root }) {
  const lock = readFileSync(join(root, 'package-lock.json'));
  return createHash('sha256').update(lock).update(`${process.platform}-${process.arch}`).digest('hex');
}
