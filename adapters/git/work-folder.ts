import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** What a process that was killed has left is garbage; no fetch takes so long. */
const ABANDONED_AFTER_MS = 24 * 3_600_000;

/** Makes the folder of all tasks, and takes away what tasks of processes that died have left. */
export async function openWorkFolders(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (await isAbandoned(path)) await rm(path, { recursive: true, force: true });
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).mtimeMs > ABANDONED_AFTER_MS;
  } catch (error) {
    // A task of another process has ended meanwhile.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** Gives a task an empty folder that only this user may enter, and removes it with all that is in it. */
export async function withWorkFolder<Answer>(folder: string, task: (work: string) => Promise<Answer>): Promise<Answer> {
  const work = await mkdtemp(join(folder, 'git-'));
  try {
    return await task(work);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
