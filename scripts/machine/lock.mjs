import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const RETRY_MS = 250;

/** What this process holds: its own pid in a lock file that isn't here is left from an earlier process. @type {Set<string>} */
const held = new Set();

/**
 * Lets one process at a time do the work, and takes the lock over from a process that died.
 *
 * Node has no file locks, so the lock is a file that holds its owner's pid. Work under it must still be safe to do
 * twice (build aside, rename into place): two processes that find the same dead owner could both go ahead.
 *
 * @template T
 * @param {string} path
 * @param {{ onWait?: (ownerPid: number) => void }} options
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(path, { onWait }, work) {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const mine = `${path}.${randomUUID()}`;
  writeFileSync(mine, String(process.pid));
  let told = false;
  let mineHeld = false;
  try {
    for (;;) {
      if (!held.has(path) && tryLink(mine, path)) break;
      const owner = readOwner(path);
      if (owner === undefined || (owner === process.pid ? !held.has(path) : !isAlive(owner))) {
        discard(path, owner);
        continue;
      }
      if (!told) onWait?.(owner);
      told = true;
      await delay(RETRY_MS);
    }
    held.add(path);
    mineHeld = true;
    sweepTickets(path);
    return await work();
  } finally {
    if (mineHeld) {
      held.delete(path);
      if (readOwner(path) === process.pid) unlinkSync(path);
    }
    unlinkSync(mine);
  }
}

/** Removes what killed processes left beside the lock. @param {string} path */
function sweepTickets(path) {
  const folder = dirname(path);
  for (const entry of readdirSync(folder)) {
    if (!entry.startsWith(`${basename(path)}.`)) continue;
    const owner = readOwner(join(folder, entry));
    if (owner !== undefined && !isAlive(owner)) rmSync(join(folder, entry), { force: true });
  }
}

/** @param {string} from @param {string} to */
function tryLink(from, to) {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false;
    throw error;
  }
}

/** @param {string} path @returns {number | undefined} */
function readOwner(path) {
  try {
    return Number(readFileSync(path, 'utf8')) || undefined;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** @param {string} path @param {number | undefined} owner */
function discard(path, owner) {
  const aside = `${path}.dead.${randomUUID()}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return;
    throw error;
  }
  // Somebody else may have taken the lock between the look and the rename: give it back.
  if (readOwner(aside) !== owner) tryLink(aside, path);
  unlinkSync(aside);
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}
