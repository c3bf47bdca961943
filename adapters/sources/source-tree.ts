import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FILES_TO_READ, type SourceTree } from '../../domain/source-detection.ts';

/** Longest file that is looked into; the rest of a longer one is not needed to know what it is. */
const MAX_CONTENT_BYTES = 256 * 1024;

/** Folders whose files count as those of the root do. */
const FOLDERS = ['public', 'dist'];

/** Looks at the root of a source tree, as `domain/source-detection.ts` wants it. Links are neither followed nor read. */
export async function readSourceTree(folder: string, subdirectory: string): Promise<SourceTree> {
  const root = join(folder, subdirectory);
  const entries = await readdir(root, { withFileTypes: true });
  const folders = FOLDERS.filter((name) => entries.some((entry) => entry.name === name && entry.isDirectory()));
  const below = await Promise.all(folders.map((name) => filesBelow(root, name)));
  const files = [...entries.filter((entry) => entry.isFile()).map(({ name }) => name), ...below.flat()];
  const contents: Record<string, string> = {};
  for (const name of FILES_TO_READ.filter((wanted) => files.includes(wanted))) {
    contents[name] = await readBeginning(join(root, name));
  }
  return { files, contents };
}

async function filesBelow(root: string, folder: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => `${folder}/${name}`);
}

async function readBeginning(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_CONTENT_BYTES), 0, MAX_CONTENT_BYTES, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
