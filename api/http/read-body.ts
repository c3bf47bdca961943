import type { IncomingMessage } from 'node:http';
import { DomainError } from '../../domain/errors.ts';

/** Bounds of a body that is read whole. */
export interface BodyLimits {
  readonly maxBytes: number;
  /** How long it may take to arrive. */
  readonly timeoutMs: number;
}

/**
 * Reads the body of a request as it was sent.
 *
 * @throws PAYLOAD_TOO_LARGE; INVALID_ARGUMENT for one that breaks off or takes too long, whose connection is then closed.
 */
export async function readBody(request: IncomingMessage, { maxBytes, timeoutMs }: BodyLimits): Promise<Buffer> {
  const tooLarge = () =>
    new DomainError('PAYLOAD_TOO_LARGE', `the body has more than ${maxBytes} bytes`, { field: 'body' });
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  const timer = setTimeout(() => request.destroy(new Error('it took too long')), timeoutMs);
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) break;
      chunks.push(chunk);
    }
  } catch (cause) {
    throw new DomainError('INVALID_ARGUMENT', 'body: it did not arrive whole', { field: 'body', cause });
  } finally {
    clearTimeout(timer);
  }
  if (bytes > maxBytes) throw tooLarge();
  return Buffer.concat(chunks);
}
