import { DomainError } from '../../domain/errors.ts';

/** One entry of a container's log, as Docker's multiplexed stream carries it. */
export interface LogFrame {
  readonly stream: 'stdout' | 'stderr';
  readonly payload: Buffer;
}

const HEADER_BYTES = 8;

/** Docker cuts entries at 16 KiB; anything far beyond is not this protocol. */
const LONGEST_FRAME = 1024 * 1024;

/**
 * Reads Docker's multiplexed log stream frame by frame, in pieces however they arrive: one byte of stream (1 stdout, 2
 * stderr), three of padding, four of length, big-endian. Holds at most one frame.
 */
export async function* readLogFrames(source: AsyncIterable<Buffer>): AsyncGenerator<LogFrame> {
  let pending: Buffer = Buffer.alloc(0);
  for await (const piece of source) {
    pending = pending.length === 0 ? piece : Buffer.concat([pending, piece]);
    let start = 0;
    while (pending.length - start >= HEADER_BYTES) {
      const length = pending.readUInt32BE(start + 4);
      if (length > LONGEST_FRAME)
        throw new DomainError('DOCKER_UNAVAILABLE', 'docker sent a log that is not multiplexed');
      const end = start + HEADER_BYTES + length;
      if (pending.length < end) break;
      const stream = pending[start] === 2 ? 'stderr' : 'stdout';
      yield { stream, payload: pending.subarray(start + HEADER_BYTES, end) };
      start = end;
    }
    pending = pending.subarray(start);
  }
}
