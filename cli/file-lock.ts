import { randomUUID } from 'node:crypto';
import { link, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { DomainError } from '../domain/errors.ts';

/** A file lock has no event to wait for on every system, so a waiter looks again; this is how often. */
const RETRY_MS = 50;

/** Age after which a lock counts as left by a dead process: more than its holder's own longest request (10 s). */
const STALE_MS = 20_000;

const GIVE_UP_MS = 30_000;

/**
 * Runs the work while no other process of this user runs work under the same lock.
 *
 * A lock left by a process that was killed is taken over after 20 s.
 *
 * @throws CONFIGURATION when the lock can't be had within 30 s.
 */
export async function withFileLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  const mine = randomUUID();
  const own = `${file}.${mine}`;
  await writeFile(own, mine, { flag: 'wx', mode: 0o600 });
  try {
    await acquire(own, file);
    return await work();
  } finally {
    await release(own, file, mine);
  }
}

async function acquire(own: string, file: string): Promise<void> {
  const giveUpAt = Date.now() + GIVE_UP_MS;
  while (!(await tryLink(own, file))) {
    if (Date.now() > giveUpAt) {
      throw new DomainError('CONFIGURATION', `could not get the lock ${file} within ${GIVE_UP_MS / 1000} s`, {
        hint: `Remove ${file} if no other obiente command is running.`,
      });
    }
    await removeStale(file);
    await delay(RETRY_MS);
  }
}

/** A hard link either appears as a whole or fails because the name is taken. */
async function tryLink(own: string, file: string): Promise<boolean> {
  try {
    await link(own, file);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Moves a stale lock aside; if a fresh one was moved in a race, its link is put back. */
async function removeStale(file: string): Promise<void> {
  const aside = `${file}.${randomUUID()}.stale`;
  try {
    if (!(await isStale(file))) return;
    await rename(file, aside);
    if (!(await isStale(aside))) await tryLink(aside, file);
    await unlink(aside);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

async function isStale(file: string): Promise<boolean> {
  return Date.now() - (await stat(file)).mtimeMs > STALE_MS;
}

async function release(own: string, file: string, mine: string): Promise<void> {
  const holder = await readFile(file, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (holder === mine) await unlink(file);
  await unlink(own);
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
