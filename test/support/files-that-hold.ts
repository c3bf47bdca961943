import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import pLimit from 'p-limit';

/** A database has a thousand files, and each that is read takes a megabyte. */
const FILES_AT_A_TIME = 4;

/** Every file below a folder that has the text in it. */
export async function filesThatHold(folder: string, text: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const limit = pLimit(FILES_AT_A_TIME);
  const holding = await Promise.all(files.map((file) => limit(async () => ((await holds(file, text)) ? [file] : []))));
  return holding.flat();
}

async function holds(file: string, text: string): Promise<boolean> {
  let rest = '';
  try {
    for await (const chunk of createReadStream(file, { encoding: 'latin1', highWaterMark: 1024 * 1024 })) {
      const searched = rest + String(chunk);
      if (searched.includes(text)) return true;
      rest = searched.slice(-text.length);
    }
  } catch (error) {
    // A database may remove a file between listing and reading it.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return false;
}
