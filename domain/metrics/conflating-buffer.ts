/** What a subscriber gets at once: samples, and how many rounds it missed before them. */
export interface Delivery<Item> {
  readonly samples: readonly Item[];
  readonly missedRounds: number;
}

/** Rounds that wait for one subscriber, within a bound. */
export interface ConflatingBuffer<Item> {
  /** Adds a round. @returns whether older rounds had to be given up for it. */
  offer(round: Delivery<Item>): boolean;
  /** Takes the oldest round; `undefined` when none waits. */
  take(): Delivery<Item> | undefined;
  /** Rounds that wait. */
  readonly size: number;
}

/**
 * Creates a buffer that never holds more than `maxRounds`.
 *
 * When a round does not fit, all that waits is conflated to the newest sample of each container, and the rounds that
 * this costs are counted: who reads slowly sees the present with gaps, not a longer and longer past.
 */
export function createConflatingBuffer<Item>(options: {
  readonly maxRounds: number;
  /** Whose sample it is: of one key only the newest survives. */
  readonly keyOf: (item: Item) => string;
}): ConflatingBuffer<Item> {
  let waiting: Delivery<Item>[] = [];

  const conflated = (): Delivery<Item> => {
    const newest = new Map(waiting.flatMap(({ samples }) => samples).map((item) => [options.keyOf(item), item]));
    const missed = waiting.reduce((sum, { missedRounds }) => sum + missedRounds, 0) + waiting.length - 1;
    return { samples: [...newest.values()], missedRounds: missed };
  };

  return {
    offer: (round) => {
      waiting.push(round);
      if (waiting.length <= options.maxRounds) return false;
      waiting = [conflated()];
      return true;
    },
    take: () => waiting.shift(),
    get size() {
      return waiting.length;
    },
  };
}
