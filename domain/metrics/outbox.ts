import { DomainError } from '../errors.ts';
import { createConflatingBuffer, type Delivery } from './conflating-buffer.ts';

/** How patient a sender is with one who reads. */
export interface OutboxRules {
  /** Rounds that may wait before they are conflated. */
  readonly maxRounds: number;
  /** One for whom something has waited so long without his taking anything counts as slow, milliseconds. */
  readonly slowAfterMs: number;
  /** One who has been slow for so long counts as stuck, milliseconds. */
  readonly stuckAfterMs: number;
  /** A clock that never jumps, milliseconds. */
  readonly monotonic: () => number;
}

/** How one who reads is doing. One for whom there is nothing keeps up, however long that lasts. */
export type Standing = 'keeps up' | 'slow' | 'stuck';

/** What waits for one reader. Nothing that the reader does, or leaves undone, holds up who sends. */
export interface Outbox<Round> {
  /** Adds a round. @returns whether older ones had to be conflated for it. */
  offer(round: Round): boolean;
  /**
   * Takes the oldest round, or waits for one.
   *
   * @returns `undefined` when the signal is aborted, which whoever aborts it makes known by `wake`: a listener for each wait
   *   costs more than the rest. `wasSlow` says how the reader was doing until then.
   * @throws SUBSCRIBER_TOO_SLOW after `close`.
   */
  next(signal: AbortSignal): Promise<{ readonly round: Round; readonly wasSlow: boolean } | undefined>;
  /** Has a waiting `next` look again. */
  wake(): void;
  /** Rounds that wait. */
  size(): number;
  standing(): Standing;
  /** Whether the reader was given up. */
  isClosed(): boolean;
  /** Gives the reader up: drops what waits, and has the next `next` throw. */
  close(): void;
}

/** Creates the outbox of one reader: bounded, conflating, and aware of how long something has been waiting. */
export function createOutbox<Item, Round extends Delivery<Item> = Delivery<Item>>(
  rules: OutboxRules & { readonly keyOf: (item: Item) => string },
): Outbox<Round> {
  let buffer = createConflatingBuffer<Item, Round>(rules);
  let waitingSinceMs: number | null = null;
  let isClosed = false;
  let wake = (): void => undefined;

  const standing = (): Standing => {
    if (waitingSinceMs === null) return 'keeps up';
    const waitedMs = rules.monotonic() - waitingSinceMs;
    if (waitedMs > rules.slowAfterMs + rules.stuckAfterMs) return 'stuck';
    return waitedMs > rules.slowAfterMs ? 'slow' : 'keeps up';
  };

  return {
    offer: (round) => {
      if (isClosed) return false;
      const overflowed = buffer.offer(round);
      waitingSinceMs ??= rules.monotonic();
      wake();
      return overflowed;
    },
    next: async (signal) => {
      while (!signal.aborted) {
        if (isClosed) throw tooSlow(rules);
        const wasSlow = standing() !== 'keeps up';
        const round = buffer.take();
        if (round) {
          waitingSinceMs = buffer.size > 0 ? rules.monotonic() : null;
          return { round, wasSlow };
        }
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = () => resolve();
        await promise;
      }
      return undefined;
    },
    wake: () => wake(),
    size: () => buffer.size,
    standing,
    isClosed: () => isClosed,
    close: () => {
      isClosed = true;
      buffer = createConflatingBuffer<Item, Round>(rules);
      waitingSinceMs = null;
      wake();
    },
  };
}

function tooSlow({ slowAfterMs, stuckAfterMs }: OutboxRules): DomainError {
  const seconds = Math.round((slowAfterMs + stuckAfterMs) / 1000);
  return new DomainError('SUBSCRIBER_TOO_SLOW', `nothing was read for ${seconds} s while there was something to read`, {
    hint: 'Connect again and read faster; the cursor of the last message says where to go on.',
  });
}
