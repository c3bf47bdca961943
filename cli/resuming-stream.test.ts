import { Code, ConnectError } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import { resumingStream } from './resuming-stream.ts';

const BROKEN = new ConnectError('the connection broke', Code.Unavailable);

/** A stream of the numbers 1 to `last` that breaks where it is told to, once each. */
function numbers(last: number, breaks: Map<number, unknown>, opened: number[]) {
  return async function* open(after: number): AsyncGenerator<number> {
    opened.push(after);
    for (let next = after + 1; next <= last; next += 1) {
      const error = breaks.get(next);
      breaks.delete(next);
      if (error !== undefined) throw error;
      yield next;
    }
  };
}

async function readAll(options: { breaks: [number, unknown][]; giveUpMs?: number; signal?: AbortSignal }) {
  const opened: number[] = [];
  const interruptions: unknown[] = [];
  const seen: number[] = [];
  const reading = (async () => {
    const messages = resumingStream<number, number>({
      open: numbers(5, new Map(options.breaks), opened),
      advance: (_, message) => message,
      start: 0,
      signal: options.signal ?? new AbortController().signal,
      onInterruption: (error) => interruptions.push(error),
      limits: { silenceMs: 60_000, giveUpMs: options.giveUpMs ?? 60_000 },
    });
    for await (const message of messages) seen.push(message);
  })();
  await reading.catch((error: unknown) => interruptions.push(['ended by', error]));
  return { opened, interruptions, seen };
}

describe('a stream that resumes', () => {
  it('goes on behind the last message, so that each comes once and in order', async () => {
    const { seen, opened, interruptions } = await readAll({
      breaks: [
        [1, BROKEN],
        [3, BROKEN],
        [5, BROKEN],
      ],
    });
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    expect(opened).toEqual([0, 0, 2, 4]);
    expect(interruptions).toHaveLength(3);
  });

  it('opens again with a new token when the token ran out', async () => {
    const { seen } = await readAll({ breaks: [[3, new ConnectError('expired', Code.Unauthenticated)]] });
    expect(seen).toEqual([1, 2, 3, 4, 5]);
  });

  it.each([Code.NotFound, Code.PermissionDenied, Code.InvalidArgument])(
    'ends on an answer that no retry changes (%s)',
    async (code) => {
      const error = new ConnectError('no', code);
      const { seen, interruptions } = await readAll({ breaks: [[2, error]] });
      expect(seen).toEqual([1]);
      expect(interruptions).toEqual([['ended by', error]]);
    },
  );

  it('gives up when the API stays away for too long', async () => {
    const { interruptions } = await readAll({ breaks: [[2, BROKEN]], giveUpMs: -1 });
    expect(interruptions).toEqual([['ended by', BROKEN]]);
  });

  it('opens again when it hears nothing, not even a heartbeat', async () => {
    const opened: number[] = [];
    const messages = resumingStream<number, number>({
      open: async function* open(after, signal) {
        opened.push(after);
        yield after + 1;
        if (after === 0)
          await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
      advance: (_, message) => message,
      start: 0,
      signal: new AbortController().signal,
      limits: { silenceMs: 20, giveUpMs: 60_000 },
    });
    const seen: number[] = [];
    for await (const message of messages) seen.push(message);
    expect([seen, opened]).toEqual([
      [1, 2],
      [0, 1],
    ]);
  });

  it('ends with the command', async () => {
    const controller = new AbortController();
    controller.abort();
    const { interruptions, opened } = await readAll({ breaks: [[1, BROKEN]], signal: controller.signal });
    expect(opened).toEqual([0]);
    expect(interruptions).toEqual([['ended by', expect.objectContaining({ name: 'AbortError' })]]);
  });
});
