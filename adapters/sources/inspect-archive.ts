import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { DomainError, isDomainError } from '../../domain/errors.ts';
import { createEntryCheck } from './archive-entry.ts';

/** Bounds of a context. */
export interface ContextLimits {
  readonly unpackedBytes: number;
  readonly entries: number;
}

const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);

/**
 * Reads a tar archive (gzip allowed) to its end, keeping nothing, and counts its entries.
 *
 * What is unpacked is counted as it comes out, so an archive that grows beyond the limit is refused there and then.
 *
 * @throws INVALID_ARGUMENT for an entry that may not be, a limit that is exceeded, and what is no tar archive.
 */
export async function inspectArchive(
  chunks: AsyncIterable<Uint8Array>,
  limits: ContextLimits,
): Promise<{ readonly entries: number }> {
  const iterator = chunks[Symbol.asyncIterator]();
  const { head, rest } = await readHead(iterator);
  const isGzip = head.subarray(0, GZIP_MAGIC.length).equals(GZIP_MAGIC);
  const tar = extract();
  const counted = countEntries(tar, limits);
  const stages = [limitBytes(limits.unpackedBytes), tar] as const;
  const unpacked = isGzip ? pipeline(rest, createGunzip(), ...stages) : pipeline(rest, ...stages);
  const [read, entries] = await Promise.allSettled([unpacked, counted]);
  if (entries.status === 'rejected') throw toRefusal(entries.reason);
  if (read.status === 'rejected') throw toRefusal(read.reason);
  if (entries.value === 0) throw refuse('it holds no entries; allowed is one tar archive, gzip or not');
  return { entries: entries.value };
}

async function countEntries(tar: ReturnType<typeof extract>, limits: ContextLimits): Promise<number> {
  const { check } = createEntryCheck();
  let entries = 0;
  for await (const entry of tar) {
    entries += 1;
    if (entries > limits.entries) throw refuse(`it has more than ${limits.entries} entries`);
    check(entry.header);
    entry.resume();
  }
  return entries;
}

function limitBytes(limit: number): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > limit) done(refuse(`unpacked it is larger than ${limit / 1024 / 1024} MiB`));
      else done(null, chunk);
    },
  });
}

/** The first bytes, which tell gzip from tar, and the whole stream again. */
async function readHead(
  iterator: AsyncIterator<Uint8Array>,
): Promise<{ head: Buffer; rest: AsyncIterable<Uint8Array> }> {
  let head = Buffer.alloc(0);
  let isDone = false;
  while (head.length < GZIP_MAGIC.length && !isDone) {
    const step = await iterator.next();
    isDone = step.done === true;
    if (!step.done) head = Buffer.concat([head, step.value]);
  }
  async function* rest(): AsyncIterable<Uint8Array> {
    yield head;
    if (!isDone) yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { head, rest: rest() };
}

/** What gzip and tar say about broken bytes is the caller's to mend; what is ours or the disk's stays as it is. */
function toRefusal(error: unknown): unknown {
  if (isDomainError(error) || !(error instanceof Error)) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const isBroken = code.startsWith('Z_') || /^(Unexpected end|Invalid|Header exceeds)/i.test(error.message);
  return isBroken ? refuse('it is not a tar archive, or one that was cut short', error) : error;
}

function refuse(finding: string, cause?: unknown): DomainError {
  return new DomainError('INVALID_ARGUMENT', `the context cannot be taken: ${finding}`, { field: 'chunk', cause });
}
