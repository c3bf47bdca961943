import { StringDecoder } from 'node:string_decoder';

/** Longest message that is kept; anything longer is no message of ours and is dropped. */
const LONGEST_LINE = 1024 * 1024;

/**
 * Reads a daemon's stream of JSON messages, one a line, in pieces however they arrive.
 *
 * @param onBytes told of every piece that arrives, for those who watch for a stall.
 */
export async function* readJsonLines<Message>(
  stream: AsyncIterable<Buffer | string>,
  onBytes: () => void = () => undefined,
): AsyncGenerator<Message> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const piece of stream) {
    onBytes();
    rest += typeof piece === 'string' ? piece : decoder.write(piece);
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LONGEST_LINE) rest = '';
    for (const line of lines) yield* parsed<Message>(line);
  }
  yield* parsed<Message>(rest);
}

function* parsed<Message>(line: string): Generator<Message> {
  if (line.trim() === '' || line.length > LONGEST_LINE) return;
  try {
    yield JSON.parse(line) as Message;
  } catch {
    // A line that was cut off with the connection: its loss is handled where the stream's end is.
  }
}
