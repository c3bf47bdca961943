import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { type DiskSpace, freePercentOf, requireRoom } from '../../domain/disk-guard.ts';
import { DomainError } from '../../domain/errors.ts';

/** What has come of something so far. */
export interface ArrivedPart {
  readonly bytes: number;
  /** Of those bytes, hexadecimal; empty without any. */
  readonly sha256: string;
}

/** Files that come in parts, over connections and processes that break off. */
export interface ArrivingFiles {
  /** Removes what is too old, or too much. Files that are being written stay. */
  tidy(): Promise<void>;
  /** Reads what has come of one. */
  look(name: string): Promise<ArrivedPart>;
  /**
   * Appends all of the chunks; what has come stays when they fail. Others whose name begins with `group` go first.
   *
   * @throws INSUFFICIENT_CAPACITY before a disk falls under what has to stay free, and then nothing stays; whatever
   * `chunks` fail with.
   */
  append(name: string, chunks: AsyncIterable<Uint8Array>, options: Appending): Promise<void>;
  /** Reads one from its beginning. */
  read(name: string): AsyncIterable<Uint8Array>;
  remove(name: string): Promise<void>;
}

/** How to append. */
export interface Appending {
  readonly group: string;
  /** Told how much there is, bytes. */
  readonly onBytes: (bytes: number) => void;
}

/** What has to stay free of a disk. */
export interface Room {
  readonly minFreePercent: number;
  /** What is free of the disk that the files go to in the end, percent; `undefined` when nobody knows. */
  freePercent(): number | undefined;
}

/** A deploy that is tried again comes within the hour; the rest is rubbish. */
const KEPT_MS = 24 * 3_600_000;

/** Broken transfers of one node that are kept: the newest. Beyond this much in all, the oldest goes as well. */
const MOST_FILES = 8;
const MOST_BYTES = 32 * 1024 ** 3;

/** The free space is looked at each time that so much was written. */
const LOOK_EVERY_BYTES = 16 * 1024 * 1024;

/** Opens a folder of files, of mode 0600 each, which need not exist yet. */
export function createArrivingFiles(folder: string, room: Room, now: () => number = Date.now): ArrivingFiles {
  const written = new Set<string>();
  const pathOf = (name: string): string => join(folder, name);
  const remove = (name: string): Promise<void> => rm(pathOf(name), { force: true });
  const list = async (): Promise<string[]> =>
    (await readdir(folder).catch(ifMissing([]))).filter((n) => !written.has(n));

  const tidy = async (): Promise<void> => {
    const found = await Promise.all(
      (await list()).map(async (name) => ({ name, facts: await stat(pathOf(name)).catch(ifMissing(undefined)) })),
    );
    const newestFirst = found
      .flatMap(({ name, facts }) => (facts ? [{ name, size: facts.size, at: facts.mtimeMs }] : []))
      .sort((one, other) => other.at - one.at || (one.name < other.name ? -1 : 1));
    let bytes = 0;
    for (const [index, { name, size, at }] of newestFirst.entries()) {
      bytes += size;
      if (index >= MOST_FILES || bytes > MOST_BYTES || now() - at > KEPT_MS) await remove(name);
    }
  };

  return {
    tidy,
    remove,
    look: async (name) => {
      const hash = createHash('sha256');
      let bytes = 0;
      try {
        for await (const chunk of createReadStream(pathOf(name))) {
          hash.update(chunk as Buffer);
          bytes += (chunk as Buffer).length;
        }
      } catch (error) {
        ifMissing(undefined)(error);
      }
      return { bytes, sha256: bytes === 0 ? '' : hash.digest('hex') };
    },
    append: async (name, chunks, { group, onBytes }) => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      written.add(name);
      try {
        for (const other of await list()) if (other.startsWith(group)) await remove(other);
        await tidy();
        await appendAll(pathOf(name), { chunks, onBytes, checkRoom: () => checkRoom(folder, room) });
      } catch (error) {
        if (error instanceof DomainError && error.code === 'INSUFFICIENT_CAPACITY') await remove(name);
        throw error;
      } finally {
        written.delete(name);
      }
    },
    read: (name) => createReadStream(pathOf(name)),
  };
}

interface Arriving extends Pick<Appending, 'onBytes'> {
  readonly chunks: AsyncIterable<Uint8Array>;
  checkRoom(): Promise<void>;
}

async function appendAll(path: string, { chunks, onBytes, checkRoom }: Arriving): Promise<void> {
  await checkRoom();
  const file: FileHandle = await open(path, 'a', 0o600);
  try {
    let { size } = await file.stat();
    let lookAt = size + LOOK_EVERY_BYTES;
    for await (const chunk of chunks) {
      await file.writeFile(chunk);
      size += chunk.length;
      onBytes(size);
      if (size < lookAt) continue;
      await checkRoom();
      lookAt = size + LOOK_EVERY_BYTES;
    }
  } finally {
    await file.close();
  }
}

/** The files are on one disk, and what becomes of them on another, or the same. */
async function checkRoom(folder: string, { freePercent, minFreePercent }: Room): Promise<void> {
  const here = freePercentOf(await spaceOf(folder));
  requireRoom('image', { freePercent: Math.min(here, freePercent() ?? 100), minFreePercent });
}

async function spaceOf(folder: string): Promise<DiskSpace> {
  const { bavail, bfree, blocks, bsize } = await statfs(folder);
  return { freeBytes: bavail * bsize, totalBytes: (blocks - bfree + bavail) * bsize };
}

function ifMissing<Value>(value: Value): (error: unknown) => Value {
  return (error) => {
    if ((error as { code?: unknown }).code === 'ENOENT') return value;
    throw error;
  };
}
