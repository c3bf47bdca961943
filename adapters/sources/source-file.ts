import { isUtf8 } from 'node:buffer';
import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainError } from '../../domain/errors.ts';

/** What the API takes of a Compose file, and of settings files altogether. */
const MAX_BYTES = 256 * 1024;

/** What stands at a path of a source tree, without following a link anywhere on the way; `null` when nothing does. */
export async function lookAt(root: string, path: string): Promise<'file' | 'folder' | 'link' | 'other' | null> {
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..')) return null;
  let kind: 'file' | 'folder' | 'link' | 'other' | null = 'folder';
  for (let depth = 1; depth <= names.length && kind === 'folder'; depth += 1) {
    kind = await kindOf(join(root, ...names.slice(0, depth)));
    if (kind === 'file' && depth < names.length) return null;
  }
  return kind;
}

async function kindOf(path: string): Promise<'file' | 'folder' | 'link' | 'other' | null> {
  try {
    const found = await lstat(path);
    if (found.isSymbolicLink()) return 'link';
    if (found.isDirectory()) return 'folder';
    return found.isFile() ? 'file' : 'other';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return null;
    throw error;
  }
}

/**
 * Reads a small text file of a source tree; `null` when there is none.
 *
 * @throws SOURCE_REFUSED for a link or what lies below one, a folder, too many bytes, and what is not UTF-8. Nothing of
 * the content is ever in the message.
 */
export async function readSourceFile(root: string, path: string): Promise<string | null> {
  const kind = await lookAt(root, path);
  if (kind === null) return null;
  if (kind !== 'file') throw refused(path, kind === 'folder' ? 'is a folder' : 'is a link, or lies below one');
  const file = await open(join(root, path), constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { size } = await file.stat();
    if (size > MAX_BYTES) throw refused(path, `has ${size} bytes; allowed are ${MAX_BYTES}`);
    const content = await file.readFile();
    if (!isUtf8(content)) throw refused(path, 'is no text in UTF-8');
    return content.toString('utf8');
  } finally {
    await file.close();
  }
}

function refused(path: string, finding: string): DomainError {
  return new DomainError('SOURCE_REFUSED', `cannot read ${JSON.stringify(path)} of the source: it ${finding}`, {
    hint: 'Put a file of its own in its place.',
  });
}
