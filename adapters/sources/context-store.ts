import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainError } from '../../domain/errors.ts';
import { syncFolder } from '../files/sync-folder.ts';
import { type ContextLimits, inspectArchive } from './inspect-archive.ts';

/** A stored context. */
export interface StoredContext {
  /** Lower-case hex SHA-256 of the bytes as they were received. */
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly entries: number;
}

/** Build contexts on disk, each under the hash of its content. */
export interface ContextStore {
  /**
   * Stores one archive as it arrives. Storing the same again is harmless; a refused or broken upload leaves nothing.
   *
   * @throws INVALID_ARGUMENT for an archive that may not be built from, PAYLOAD_TOO_LARGE.
   */
  store(chunks: AsyncIterable<Uint8Array>): Promise<StoredContext>;
  /** Reads a context in parts of at most 1 MiB. @throws NOT_FOUND */
  read(sha256: string): AsyncIterable<Uint8Array>;
}

/** Limits of the contract: 512 MiB unpacked, 100,000 entries. */
export const CONTEXT_LIMITS: ContextLimits = { unpackedBytes: 512 * 1024 * 1024, entries: 100_000 };

/** Bytes that gzip can add to incompressible content, and then some. */
const PACKING_OVERHEAD_BYTES = 1024 * 1024;

const READ_BYTES = 512 * 1024;

/** An upload that was cut by the end of its process is garbage; no upload takes so long. */
const ABANDONED_AFTER_MS = 24 * 3_600_000;

/** Opens the store in a folder, which it makes, and takes away what uploads of a process that died have left. */
export async function openContextStore(options: { folder: string; limits?: ContextLimits }): Promise<ContextStore> {
  const { folder, limits = CONTEXT_LIMITS } = options;
  const incoming = join(folder, 'incoming');
  await mkdir(incoming, { recursive: true, mode: 0o700 });
  await removeAbandoned(incoming);
  return {
    store: async (chunks) => {
      const path = join(incoming, randomUUID());
      const file = await open(path, 'wx', 0o600);
      try {
        const stored = await receive(file, chunks, limits);
        await file.sync();
        await rename(path, join(folder, stored.sha256));
        await syncFolder(folder);
        return stored;
      } catch (error) {
        await rm(path, { force: true });
        throw error;
      } finally {
        await file.close();
      }
    },
    read: (sha256) => read(folder, sha256),
  };
}

async function receive(
  file: FileHandle,
  chunks: AsyncIterable<Uint8Array>,
  limits: ContextLimits,
): Promise<StoredContext> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  async function* kept(): AsyncIterable<Uint8Array> {
    for await (const chunk of chunks) {
      sizeBytes += chunk.length;
      if (sizeBytes > limits.unpackedBytes + PACKING_OVERHEAD_BYTES) throw tooLarge(limits);
      hash.update(chunk);
      await file.writeFile(chunk);
      yield chunk;
    }
  }
  const bytes = kept();
  const { entries } = await inspectArchive(bytes, limits);
  // A gzip stream may end before the upload does: what follows is part of the content, and of its hash.
  for await (const _ of bytes);
  return { sha256: hash.digest('hex'), sizeBytes, entries };
}

async function* read(folder: string, sha256: string): AsyncIterable<Uint8Array> {
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw new DomainError('NOT_FOUND', 'context not found');
  try {
    yield* createReadStream(join(folder, sha256), { highWaterMark: READ_BYTES });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new DomainError('NOT_FOUND', 'context not found', { hint: 'Upload the context again.', cause: error });
  }
}

async function removeAbandoned(incoming: string): Promise<void> {
  for (const name of await readdir(incoming)) {
    const path = join(incoming, name);
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > ABANDONED_AFTER_MS) await rm(path, { force: true });
  }
}

function tooLarge({ unpackedBytes }: ContextLimits): DomainError {
  const message = `the context cannot be taken: it is larger than ${unpackedBytes / 1024 / 1024} MiB`;
  return new DomainError('INVALID_ARGUMENT', message, {
    field: 'chunk',
    hint: 'Leave out what the build does not need.',
  });
}
