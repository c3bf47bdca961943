import { chmodSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.mjs';
import { downloadRelease } from './release-download.mjs';
import { findProgram, isExecutable, runCommand } from './run-command.mjs';
import { SetupError } from './setup-error.mjs';

/** @typedef {import('./context.mjs').SetupContext} SetupContext */

/** A program's own version answer must come within this time, or the program doesn't count. */
const VERSION_TIMEOUT_MS = 10_000;

/**
 * A server program that is one file.
 *
 * @typedef {object} ServerBinary
 * @property {string} name what it is called on the PATH and in the cache
 * @property {string} version the one that is downloaded or built
 * @property {string[]} versionArgs make it print its version
 * @property {(answer: string) => string | undefined} acceptedVersion of what was printed; undefined when it won't do
 * @property {import('./release-download.mjs').Release} release the publisher's own build
 * @property {(work: { context: SetupContext, folder: string }) => Promise<string>} build from source; its binary's path
 * @property {string} [building] what the build does, for people, where it is no build from source
 * @property {string} buildTime how long a build takes, for people
 * @property {string} installHint how a person gets it without any of that
 */

/**
 * @param {SetupContext} context
 * @param {ServerBinary} binary
 * @returns {Promise<{ path: string, version: string } | undefined>} the one on the PATH, else the cached one
 */
export async function findBinary(context, binary) {
  const onPath = await acceptedOnPath(context, binary);
  if (onPath !== undefined) return onPath;
  const cached = cachedPath(context, binary);
  return isExecutable(cached) ? { path: cached, version: binary.version } : undefined;
}

/**
 * @param {SetupContext} context
 * @param {ServerBinary} binary
 * @returns {Promise<import('./context.mjs').CheckResult>}
 */
export async function checkBinary(context, binary) {
  const found = await findBinary(context, binary);
  if (found !== undefined) return { ok: true, version: found.version, detail: found.path };
  const detail = `neither a usable ${binary.name} on the PATH nor ${cachedPath(context, binary)}`;
  return { ok: false, detail, fix: `npm run setup, or ${binary.installHint}` };
}

/**
 * Finds the program, else downloads it, else builds it. Several set-ups at once build it once; a set-up that dies in
 * between leaves nothing that looks finished, since the binary is renamed into place as the last act.
 *
 * @param {SetupContext} context
 * @param {ServerBinary} binary
 * @returns {Promise<{ path: string }>}
 * @throws {SetupError} when it can be neither found nor downloaded nor built
 */
export async function ensureBinary(context, binary) {
  const found = await findBinary(context, binary);
  if (found !== undefined) return { path: found.path };
  const folder = join(context.cacheDir, 'bin');
  const lock = join(folder, `${binary.name}-${binary.version}.lock`);
  const onWait = (/** @type {number} */ pid) =>
    context.progress.note(`waiting for process ${pid}, which fetches ${binary.name}`);
  await withLock(lock, { onWait }, async () => {
    if (isExecutable(cachedPath(context, binary))) return;
    removeUnfinished(folder, binary);
    const work = mkdtempSync(join(folder, `.${binary.name}-`));
    try {
      installInto(cachedPath(context, binary), await obtain(context, binary, work));
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
  return { path: cachedPath(context, binary) };
}

/**
 * The same for a program that only tests need. Where it can be had neither way, only the tests that need it fail.
 *
 * @param {SetupContext} context
 * @param {ServerBinary} binary
 * @param {string} what it is, for people
 * @returns {Promise<{ path?: string }>}
 */
export async function ensureTestBinary(context, binary, what) {
  try {
    return await ensureBinary(context, binary);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    context.progress.note(`no ${what}, so its tests will fail: ${error.message}`);
    return {};
  }
}

/** Under the lock, what other builds left is what killed ones left. @param {string} folder @param {ServerBinary} binary */
function removeUnfinished(folder, { name }) {
  for (const entry of readdirSync(folder)) {
    if (entry.startsWith(`.${name}-`)) rmSync(join(folder, entry), { recursive: true, force: true });
  }
}

/** @param {SetupContext} context @param {ServerBinary} binary @param {string} work */
async function obtain(context, binary, work) {
  const label = `${binary.name} ${binary.version}`;
  const folder = join(work, 'download');
  mkdirSync(folder);
  let reason;
  try {
    const step = { what: `downloading ${label}`, why: 'not on the PATH, not in the cache', isAttempt: true };
    return await context.progress.during(step, () => downloadRelease(binary.release, folder));
  } catch (error) {
    // An untrustworthy archive carries a hint, and is no reason to go on; an unreachable publisher is.
    if (!(error instanceof SetupError) || error.hint !== undefined) throw error;
    reason = error.message;
  }
  try {
    const step = { what: binary.building ?? `building ${label} from source`, why: `${reason}; ${binary.buildTime}` };
    return await context.progress.during(step, () => binary.build({ context, folder: work }));
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new SetupError(`cannot get ${label}: ${reason}, and building it failed: ${detail}`, {
      cause,
      hint: `${binary.installHint}, then run this again`,
    });
  }
}

/** @param {string} target @param {string} built */
function installInto(target, built) {
  mkdirSync(join(target, '..'), { recursive: true });
  chmodSync(built, 0o755);
  renameSync(built, target);
}

/** @param {SetupContext} context @param {ServerBinary} binary */
async function acceptedOnPath(context, binary) {
  const path = findProgram(binary.name, { env: context.env, notBelow: join(context.root, 'node_modules') });
  if (path === undefined) return undefined;
  try {
    const answer = await runCommand(path, binary.versionArgs, { timeoutMs: VERSION_TIMEOUT_MS });
    const version = binary.acceptedVersion(answer);
    return version === undefined ? undefined : { path, version };
  } catch (error) {
    // A program that can't say its version is as good as none: ours is fetched instead.
    if (error instanceof SetupError) return undefined;
    throw error;
  }
}

/** @param {SetupContext} context @param {ServerBinary} binary */
function cachedPath(context, binary) {
  return join(context.cacheDir, 'bin', `${binary.name}-${binary.version}`, binary.name);
}
