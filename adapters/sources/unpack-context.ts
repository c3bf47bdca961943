import { link, mkdir, open, symlink } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import { DomainError, isDomainError } from '../../domain/errors.ts';
import { createEntryCheck } from './archive-entry.ts';
import type { ContextLimits } from './inspect-archive.ts';

/** Where a context goes. */
export interface Unpacking {
  /** A folder that is there and empty. */
  readonly into: string;
  /** Group that may read what is written, beside this user; absent: this user alone. */
  readonly group?: number | undefined;
  readonly limits: ContextLimits;
  /** Name at the root that is left out, with all below it. */
  readonly without: string;
  readonly signal: AbortSignal;
}

/**
 * Writes the files of a build context, a tar archive that is not compressed, into a folder.
 *
 * Links are made last, so nothing is ever written through one, and nothing that is there is replaced.
 *
 * @throws SOURCE_REFUSED for what no context may hold, a limit that is exceeded, and what is no tar archive; the reason of
 * the signal; what the stream fails with.
 */
export async function unpackContext(context: Readable, unpacking: Unpacking): Promise<void> {
  const { signal } = unpacking;
  const tar = extract();
  const read = pipeline(context, tar, { signal });
  const [written, ended] = await Promise.allSettled([writeEntries(tar, unpacking), read]);
  signal.throwIfAborted();
  // Each ends the other, with words of its own; what was found in an entry says more than that the stream broke off.
  if (written.status === 'rejected' && isDomainError(written.reason)) throw toRefusal(written.reason);
  if (ended.status === 'rejected') throw toRefusal(ended.reason);
  if (written.status === 'rejected') throw toRefusal(written.reason);
}

async function writeEntries(tar: ReturnType<typeof extract>, unpacking: Unpacking): Promise<void> {
  const { into, limits, without } = unpacking;
  const { check } = createEntryCheck();
  const makeFolder = createFolderMaker(unpacking);
  const links: Header[] = [];
  let [bytes, entries] = [0, 0];
  for await (const entry of tar) {
    const { header } = entry;
    check(header);
    const path = posix.normalize(header.name).replace(/\/+$/, '');
    bytes += header.size ?? 0;
    entries += 1;
    if (bytes > limits.unpackedBytes) throw tooLarge(`${limits.unpackedBytes / 1024 ** 2} MiB`);
    if (entries > limits.entries) throw tooLarge(`${limits.entries} entries`);
    const isWanted = path !== '.' && path !== without && !path.startsWith(`${without}/`);
    if (isWanted && header.type === 'directory') await makeFolder(path);
    else if (isWanted) await makeFolder(posix.dirname(path));
    if (isWanted && (header.type === 'symlink' || header.type === 'link')) links.push({ ...header, name: path });
    if (!isWanted || (header.type !== 'file' && header.type !== 'contiguous-file')) entry.resume();
    else await writeFile(entry, path, unpacking);
  }
  for (const { name, type, linkname } of links.toSorted(hardOnesFirst)) {
    const target = linkname ?? '';
    const made =
      type === 'link' ? link(join(into, posix.normalize(target)), join(into, name)) : symlink(target, join(into, name));
    await made.catch((error: unknown) => {
      throw toCollision(name, error);
    });
  }
}

async function writeFile(
  entry: AsyncIterable<unknown> & { readonly header: Header },
  path: string,
  { into, group }: Unpacking,
): Promise<void> {
  const mode = (entry.header.mode ?? 0) & 0o100 ? 0o750 : 0o640;
  const handle = await open(join(into, path), 'wx', mode).catch((error: unknown) => {
    throw toCollision(path, error);
  });
  try {
    if (group !== undefined) await handle.chown(process.getuid?.() ?? -1, group);
    await handle.chmod(mode);
    for await (const chunk of entry) await handle.writeFile(chunk as Buffer);
  } finally {
    await handle.close();
  }
}

/** Makes folders with those above them, each once. */
function createFolderMaker({ into, group }: Unpacking): (path: string) => Promise<void> {
  const made = new Set<string>(['.', '']);
  const make = async (path: string): Promise<void> => {
    if (made.has(path)) return;
    await make(dirname(path));
    made.add(path);
    await mkdir(join(into, path)).catch((error: unknown) => {
      throw toCollision(path, error);
    });
    await shareFolder(join(into, path), group);
  };
  return make;
}

/** Lets a group look into a folder of this user. */
export async function shareFolder(folder: string, group: number | undefined): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    if (group !== undefined) await handle.chown(process.getuid?.() ?? -1, group);
    await handle.chmod(group === undefined ? 0o700 : 0o750);
  } finally {
    await handle.close();
  }
}

/** What they lead to is a file by now; through a symbolic link they would lead elsewhere. */
function hardOnesFirst(one: Header, other: Header): number {
  return Number(one.type === 'symlink') - Number(other.type === 'symlink');
}

function toCollision(path: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EEXIST' || code === 'EISDIR' || code === 'ENOTDIR') return refuse(`${shown(path)} is there twice`);
  if (code === 'ENOENT' || code === 'EPERM' || code === 'ENAMETOOLONG') return refuse(`${shown(path)} cannot be made`);
  return error;
}

/** What tar says about broken bytes is the caller's to mend, as is what may not be in a context. */
function toRefusal(error: unknown): unknown {
  if (isDomainError(error)) return error.code === 'INVALID_ARGUMENT' ? refuse(error.message) : error;
  if (!/^(Unexpected end|Invalid tar)/i.test((error as Error).message)) return error;
  return refuse('its archive is compressed, or broken');
}

function tooLarge(limit: string): DomainError {
  return refuse(`it is larger than ${limit}`);
}

function refuse(finding: string): DomainError {
  return new DomainError('SOURCE_REFUSED', `the source cannot be built: ${finding}`, {
    hint: 'Deploy a folder without it, as a plain tar archive.',
  });
}

function shown(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
}
