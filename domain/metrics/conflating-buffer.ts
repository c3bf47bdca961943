/** What a subscriber gets at once: samples, and how many rounds it missed before them. */
export interface Delivery<Item> {
  readonly samples: readonly Item[];
  readonly missedRounds: number;
  /** Rounds that the samples are of; 1 unless it is said. A look at the past is many rounds at once. */
  readonly rounds?: number;
}

/** Rounds that wait for one subscriber, within a bound. */
export interface ConflatingBuffer<Round> {
  /** Adds a round. @returns whether older rounds had to be given up for it. */
  offer(round: Round): boolean;
  /** Takes the oldest round; `undefined` when none waits. */
  take(): Round | undefined;
  /** Rounds that wait. */
  readonly size: number;
}

/**
 * Creates a buffer that never holds more than `maxRounds`.
 *
 * When a round does not fit, all that waits is conflated to the newest sample of each container, and the rounds that
 * this costs are counted: who reads slowly sees the present with gaps, not a longer and longer past. What else a round
 * carries is that of the newest.
 */
export function createConflatingBuffer<Item, Round extends Delivery<Item> = Delivery<Item>>(options: {
  readonly maxRounds: number;
  /** Whose sample it is: of one key only the newest survives. */
  readonly keyOf: (item: Item) => string;
}): ConflatingBuffer<Round> {
  let waiting: Round[] = [];

  const conflated = (newestRound: Round): Round => {
    const newest = new Map<string, Item>();
    let rounds = 0;
    for (const { samples, missedRounds, rounds: own = 1 } of waiting) {
      for (const sample of samples) newest.set(options.keyOf(sample), sample);
      rounds += missedRounds + own;
    }
    return { ...newestRound, samples: [...newest.values()], missedRounds: rounds - 1, rounds: 1 };
  };

  return {
    offer: (round) => {
      waiting.push(round);
      if (waiting.length <= options.maxRounds) return false;
      waiting = [conflated(round)];
      return true;
    },
    take: () => waiting.shift(),
    get size() {
      return waiting.length;
    },
  };
}
