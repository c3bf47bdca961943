import { createReadStream } from 'node:fs';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { isAbsolute, join, posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import ignore from '@balena/dockerignore';
import { pack as createPack, type Pack } from 'tar-stream';
import { DomainError } from '../../domain/errors.ts';

/** What the API accepts; refusing here saves the upload. */
const MAX_BYTES = 512 * 1024 ** 2;
const MAX_ENTRIES = 100_000;

/** Never part of an image: version control, and this platform's own state. As written in a `.dockerignore`. */
const ALWAYS_IGNORED = ['.git', '.obiente'];

/** One file, folder or link of a build context. */
export interface ContextEntry {
  /** Relative to the folder, with forward slashes. */
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'symlink';
  readonly size: number;
  readonly isExecutable: boolean;
  /** Where a symlink leads; empty for anything else. */
  readonly target: string;
}

/**
 * Lists what a build context holds, in the order of its bytes: what `.dockerignore` leaves, without `.git`.
 *
 * @throws INVALID_ARGUMENT for sockets, devices and pipes, links out of the folder, and contexts that are too large.
 */
export async function listContext(folder: string, dockerfile: string): Promise<readonly ContextEntry[]> {
  const patterns = await readIgnoreFile(folder);
  const rules = ignore
    .default()
    .add([...ALWAYS_IGNORED, ...patterns])
    .createFilter();
  const needed = new Set([posix.normalize(dockerfile), '.dockerignore']);
  const isIncluded = (path: string): boolean => needed.has(path) || rules(path);
  const mayReinclude = patterns.some((pattern) => pattern.startsWith('!'));
  const entries: ContextEntry[] = [];
  let bytes = 0;
  const walk = async (parent: string): Promise<void> => {
    for (const name of (await readdir(join(folder, parent))).sort(byBytes)) {
      const path = posix.join(parent, name);
      const isWanted = isIncluded(path);
      const mayHoldWanted = mayReinclude || [...needed].some((file) => file.startsWith(`${path}/`));
      if (!isWanted && !mayHoldWanted) continue;
      const entry = await readEntry(folder, path, isWanted);
      if (entry === undefined) continue;
      if (isWanted) entries.push(entry);
      bytes += isWanted ? entry.size : 0;
      requireSize(bytes, entries.length);
      if (entry.kind === 'directory' && !ALWAYS_IGNORED.includes(path)) await walk(path);
    }
  };
  await walk('');
  return entries;
}

/** A file that a context gets beside those of its folder. */
export interface ExtraFile {
  readonly path: string;
  readonly content: Buffer;
}

/**
 * Packs a build context as a tar archive that depends on the content only: sorted, without times and owners, modes
 * 0644 and 0755. So the same content has the same hash on every machine, and is built once.
 */
export function packContext(
  folder: string,
  entries: readonly ContextEntry[],
  extra: readonly ExtraFile[] = [],
): AsyncIterable<Buffer> {
  const archive = createPack();
  const fill = async (): Promise<void> => {
    for (const entry of entries) await append(archive, folder, entry);
    for (const file of extra) await appendExtra(archive, file);
    archive.finalize();
  };
  fill().catch((error: unknown) => archive.destroy(error as Error));
  return archive as unknown as AsyncIterable<Buffer>;
}

async function append(archive: Pack, folder: string, entry: ContextEntry): Promise<void> {
  const header = {
    name: entry.path,
    type: entry.kind,
    size: entry.size,
    mode: entry.kind === 'file' && !entry.isExecutable ? 0o644 : 0o755,
    mtime: new Date(0),
    uid: 0,
    gid: 0,
    ...(entry.kind === 'symlink' ? { linkname: entry.target } : {}),
  };
  if (entry.kind !== 'file' || entry.size === 0) {
    await new Promise<void>((resolve, reject) => {
      archive.entry(header, '', (error) => (error ? reject(error) : resolve()));
    });
    return;
  }
  try {
    await pipeline(createReadStream(join(folder, entry.path), { end: entry.size - 1 }), archive.entry(header));
  } catch (error) {
    const message = `could not read ${entry.path}: it changed while being packed`;
    throw new DomainError('INVALID_ARGUMENT', message, { cause: error });
  }
}

async function appendExtra(archive: Pack, { path: name, content }: ExtraFile): Promise<void> {
  const header = { name, type: 'file' as const, mode: 0o644, mtime: new Date(0), uid: 0, gid: 0 };
  await new Promise<void>((resolve, reject) => {
    archive.entry(header, content, (error) => (error ? reject(error) : resolve()));
  });
}

async function readIgnoreFile(folder: string): Promise<readonly string[]> {
  try {
    const text = await readFile(join(folder, '.dockerignore'), 'utf8');
    return text
      .replace(/^\ufeff/, '')
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function readEntry(folder: string, path: string, isWanted: boolean): Promise<ContextEntry | undefined> {
  const found = await lstat(join(folder, path));
  const entry = { path, size: 0, isExecutable: false, target: '' };
  if (found.isDirectory()) return { ...entry, kind: 'directory' };
  if (!isWanted) return undefined;
  if (found.isFile()) return { ...entry, kind: 'file', size: found.size, isExecutable: (found.mode & 0o100) !== 0 };
  if (found.isSymbolicLink()) return { ...entry, kind: 'symlink', target: await readTarget(folder, path) };
  throw refuse(
    path,
    'is a socket, pipe or device; a build context holds files, folders and links',
    'Add it to .dockerignore.',
  );
}

async function readTarget(folder: string, path: string): Promise<string> {
  const target = await readlink(join(folder, path));
  const inside = posix.normalize(posix.join(posix.dirname(path), target));
  if (!isAbsolute(target) && inside !== '..' && !inside.startsWith('../')) return target;
  throw refuse(path, `links to ${target}, outside of the folder`, 'Copy what it links to, or add it to .dockerignore.');
}

function requireSize(bytes: number, entries: number): void {
  if (bytes <= MAX_BYTES && entries <= MAX_ENTRIES) return;
  const limit = bytes > MAX_BYTES ? `${MAX_BYTES / 1024 ** 2} MiB` : `${MAX_ENTRIES} entries`;
  throw new DomainError('PAYLOAD_TOO_LARGE', `the build context is larger than ${limit}`, {
    hint: 'Leave out what the build does not need by a .dockerignore, node_modules for example.',
  });
}

function byBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}

function refuse(path: string, finding: string, hint: string): DomainError {
  return new DomainError('INVALID_ARGUMENT', `${path}: ${finding}`, { field: path, hint });
}
