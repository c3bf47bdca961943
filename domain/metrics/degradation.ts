/** What slows a streamer down, as measured since its last round began. */
export interface Strain {
  /** Time that the round took, milliseconds. */
  readonly roundMs: number;
  /** Whether the round ended at its deadline, with containers unread. */
  readonly isCutShort: boolean;
  /** How late a timer ran at worst, milliseconds. */
  readonly loopLagMs: number;
  /** Share of the memory that this process may have which is in use, 0 to 1. */
  readonly memoryShare: number;
}

/** How far the streamer has stepped back. Plain data. */
export interface Degradation {
  /** Index into the steps: 0 is normal work. */
  readonly level: number;
  /** Strained rounds in a row. */
  readonly strained: number;
  /** Easy rounds in a row. */
  readonly easy: number;
}

/** Normal work. */
export const NOT_DEGRADED: Degradation = { level: 0, strained: 0, easy: 0 };

/** How much longer than usual the time between two rounds is at each level: 5 s become 10, 20 and 30 s. */
export const INTERVAL_STEPS = [1, 2, 4, 6] as const;

/** Two in a row: one slow round may be somebody else's burst, and at 5 s two are still noticed within 10 s. */
const STRAINED_ROUNDS = 2;

/** Many more than that, so that a streamer at the edge of its means does not go to and fro. */
const EASY_ROUNDS = 6;

/** From these on a round is strained; below the second it is easy. What lies between leaves everything as it is. */
const ROUND_SHARE = { strained: 0.8, easy: 0.4 };
const LAG_MS = { strained: 250, easy: 100 };
const MEMORY_SHARE = { strained: 0.9, easy: 0.75 };

/** The time between two rounds at a level, milliseconds. */
export function intervalAt(level: number, normalMs: number): number {
  return normalMs * (INTERVAL_STEPS[Math.min(level, INTERVAL_STEPS.length - 1)] ?? 1);
}

/**
 * The degradation after a round.
 *
 * It goes up by one step after two strained rounds, and down by one after six easy ones. A round counts as easy only if
 * it would have fitted into the shorter interval as well, or the step down would lead straight up again.
 */
export function afterRound(before: Degradation, strain: Strain, normalMs: number): Degradation {
  const { level } = before;
  if (isStrained(strain, intervalAt(level, normalMs))) {
    const strained = before.strained + 1;
    if (strained < STRAINED_ROUNDS) return { level, strained, easy: 0 };
    return { level: Math.min(level + 1, INTERVAL_STEPS.length - 1), strained: 0, easy: 0 };
  }
  if (level === 0 || !isEasy(strain, intervalAt(level - 1, normalMs))) return { level, strained: 0, easy: 0 };
  const easy = before.easy + 1;
  return easy < EASY_ROUNDS ? { level, strained: 0, easy } : { level: level - 1, strained: 0, easy: 0 };
}

function isStrained(strain: Strain, intervalMs: number): boolean {
  return (
    strain.isCutShort ||
    strain.roundMs > ROUND_SHARE.strained * intervalMs ||
    strain.loopLagMs > LAG_MS.strained ||
    strain.memoryShare > MEMORY_SHARE.strained
  );
}

function isEasy(strain: Strain, intervalMs: number): boolean {
  return (
    strain.roundMs < ROUND_SHARE.easy * intervalMs &&
    strain.loopLagMs < LAG_MS.easy &&
    strain.memoryShare < MEMORY_SHARE.easy
  );
}
