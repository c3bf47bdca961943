import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { DomainError } from '../../domain/errors.ts';

/**
 * Turns the parts of a stored context into one stream that fails when the content has another hash.
 *
 * The last part is held back until the hash is known to be right, so nobody ever gets the whole of something else.
 */
export function toContextStream(parts: AsyncIterable<Uint8Array>, sha256: string): Readable {
  return Readable.from(verified(parts, sha256), { objectMode: false });
}

async function* verified(parts: AsyncIterable<Uint8Array>, sha256: string): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let last: Uint8Array = new Uint8Array();
  for await (const part of parts) {
    hash.update(part);
    if (last.length > 0) yield last;
    last = part;
  }
  const found = hash.digest('hex');
  if (found !== sha256) throw new DomainError('NODE_UNAVAILABLE', `the build context ${sha256} arrived as ${found}`);
  if (last.length > 0) yield last;
}
