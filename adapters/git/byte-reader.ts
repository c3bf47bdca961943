const LINE_BYTES = 1024;
const LINE_FEED = 0x0a;

/** Reads a stream of lines and of counted bytes between them, in their order. */
export interface ByteReader {
  /** The bytes up to the next line feed, without it. @throws when the stream ends before it, or it is too long. */
  line(): Promise<string>;
  /** Exactly so many bytes; has to be read to its end before anything else is. @throws when the stream ends before. */
  bytes(count: number): AsyncGenerator<Buffer>;
}

/** Creates the reader of one stream. */
export function createByteReader(stream: AsyncIterable<Buffer>): ByteReader {
  const iterator = stream[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);
  const next = async (): Promise<Buffer> => {
    const step = await iterator.next();
    if (step.done) throw new Error('the stream ended too early');
    return step.value;
  };
  return {
    line: async () => {
      let end = rest.indexOf(LINE_FEED);
      while (end < 0) {
        if (rest.length > LINE_BYTES) throw new Error(`a line has more than ${LINE_BYTES} bytes`);
        rest = Buffer.concat([rest, await next()]);
        end = rest.indexOf(LINE_FEED);
      }
      const line = rest.toString('utf8', 0, end);
      rest = rest.subarray(end + 1);
      return line;
    },
    bytes: async function* (count) {
      let missing = count;
      while (missing > 0) {
        if (rest.length === 0) rest = await next();
        const part = rest.subarray(0, missing);
        rest = rest.subarray(part.length);
        missing -= part.length;
        yield part;
      }
    },
  };
}
