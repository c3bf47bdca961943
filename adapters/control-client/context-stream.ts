import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { DomainError } from '../../domain/errors.ts';

/** Turns the parts of a stored context into one stream, which fails at its end when the content has another hash. */
export function toContextStream(parts: AsyncIterable<Uint8Array>, sha256: string): Readable {
  return Readable.from(verified(parts, sha256), { objectMode: false });
}

async function* verified(parts: AsyncIterable<Uint8Array>, sha256: string): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const part of parts) {
    hash.update(part);
    yield part;
  }
  const found = hash.digest('hex');
  if (found === sha256) return;
  throw new DomainError('NODE_UNAVAILABLE', `the build context ${sha256} arrived as ${found}`);
}
