import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** A stored context on disk. */
export interface ContextFile {
  readonly sha256: string;
  readonly sizeBytes: number;
  /** When it was uploaded last, milliseconds since 1970. */
  readonly storedAtMs: number;
}

/** The files of a context store, for whoever clears them away. Several processes may share the folder. */
export interface ContextFiles {
  /** Ends removals that a process began which then died: what was uploaded after a time is put back. */
  settle(unlessStoredAfterMs: number): Promise<void>;
  /** Lists files by hash, after one. */
  list(page: { readonly after: string; readonly limit: number }): Promise<readonly ContextFile[]>;
  /**
   * Removes a file unless it was uploaded again after a time.
   *
   * It is taken out of the way first and looked at then, so that an upload which comes in between is put back and never
   * lost; for that moment it cannot be read.
   *
   * @returns whether it is gone.
   */
  remove(sha256: string, unlessStoredAfterMs: number): Promise<boolean>;
}

const HASH = /^[0-9a-f]{64}$/;

/** Opens the files of the store in a folder. */
export function openContextFiles(folder: string): ContextFiles {
  const outgoing = join(folder, 'outgoing');
  const judge = async (taken: string, sha256: string, unlessStoredAfterMs: number): Promise<boolean> => {
    const file = await look(join(outgoing, taken), sha256);
    if (file && file.storedAtMs > unlessStoredAfterMs) {
      await move(join(outgoing, taken), join(folder, sha256));
      return false;
    }
    await rm(join(outgoing, taken), { force: true });
    return true;
  };
  return {
    settle: async (unlessStoredAfterMs) => {
      await mkdir(outgoing, { recursive: true, mode: 0o700 });
      for (const taken of await readdir(outgoing)) {
        await judge(taken, taken.split('.', 1)[0] ?? '', unlessStoredAfterMs);
      }
    },
    list: async ({ after, limit }) => {
      const names = (await readdir(folder)).filter((name) => HASH.test(name) && name > after).sort();
      const files = await Promise.all(names.slice(0, limit).map((sha256) => look(join(folder, sha256), sha256)));
      return files.flatMap((file) => file ?? []);
    },
    remove: async (sha256, unlessStoredAfterMs) => {
      if (!HASH.test(sha256)) throw new Error(`${JSON.stringify(sha256)} is no hash`);
      await mkdir(outgoing, { recursive: true, mode: 0o700 });
      const taken = `${sha256}.${randomUUID()}`;
      if (!(await move(join(folder, sha256), join(outgoing, taken)))) return true;
      return await judge(taken, sha256, unlessStoredAfterMs);
    },
  };
}

async function look(path: string, sha256: string): Promise<ContextFile | undefined> {
  try {
    const { size, mtimeMs } = await stat(path);
    return { sha256, sizeBytes: size, storedAtMs: mtimeMs };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** @returns whether there was something to move. */
async function move(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
