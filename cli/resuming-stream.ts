import { Code, ConnectError } from '@connectrpc/connect';
import { backoffMs, isInterruption, pause } from './retry.ts';

/** Three of the heartbeats that the API sends each 15 s: a stream silent for longer is dead. */
const SILENCE_MS = 45_000;

/** How long an API may be away until the command gives up. */
const GIVE_UP_MS = 5 * 60_000;

/** How a stream is opened, and opened again. */
export interface ResumingStream<Message, Cursor> {
  /** Opens the stream after the cursor. */
  readonly open: (cursor: Cursor, signal: AbortSignal) => AsyncIterable<Message>;
  /** Where to go on after a message. */
  readonly advance: (cursor: Cursor, message: Message) => Cursor;
  readonly start: Cursor;
  readonly signal: AbortSignal;
  /** Told once for each break, however often it is tried again. */
  readonly onInterruption?: (error: unknown) => void;
  /** Replaced by tests. */
  readonly limits?: { readonly silenceMs: number; readonly giveUpMs: number };
}

/**
 * Reads a stream to its end, through restarts of the API: after a break it goes on behind the last message seen.
 *
 * Messages come once each and in order. A refused token counts as a break once, since opening again asks for a new
 * one. Throws what ended the stream when that is no break, or when it lasts for more than 5 min.
 */
export async function* resumingStream<Message, Cursor>(
  options: ResumingStream<Message, Cursor>,
): AsyncGenerator<Message> {
  const { silenceMs, giveUpMs } = options.limits ?? { silenceMs: SILENCE_MS, giveUpMs: GIVE_UP_MS };
  let cursor = options.start;
  let attempt = 0;
  let brokenSince: number | undefined;
  for (;;) {
    const watchdog = createWatchdog(silenceMs, options.signal);
    try {
      for await (const message of options.open(cursor, watchdog.signal)) {
        watchdog.restart();
        attempt = 0;
        brokenSince = undefined;
        cursor = options.advance(cursor, message);
        yield message;
        watchdog.restart();
      }
      return;
    } catch (error) {
      options.signal.throwIfAborted();
      brokenSince ??= Date.now();
      attempt += 1;
      const mayGoOn = watchdog.isSilent() || isInterruption(error) || (isExpiry(error) && attempt === 1);
      if (!mayGoOn || Date.now() - brokenSince > giveUpMs) throw error;
      if (attempt === 1) options.onInterruption?.(error);
    } finally {
      watchdog.stop();
    }
    await pause(backoffMs(attempt), options.signal);
  }
}

function isExpiry(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.Unauthenticated;
}

/** Ends a stream that says nothing for too long, or with the command. */
function createWatchdog(silenceMs: number, signal: AbortSignal) {
  const controller = new AbortController();
  let timer = setTimeout(() => controller.abort(), silenceMs);
  return {
    signal: AbortSignal.any([signal, controller.signal]),
    restart: () => {
      clearTimeout(timer);
      timer = setTimeout(() => controller.abort(), silenceMs);
    },
    stop: () => clearTimeout(timer),
    isSilent: () => controller.signal.aborted,
  };
}
