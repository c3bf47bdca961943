/** How a process that ended is started again. */
export interface RestartTiming {
  /** Delay before the first new start, milliseconds; doubles with each further one. */
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
  /** A process that was ready for this long counts as sound: the delay begins anew. */
  readonly soundAfterMs: number;
}

/** From 0.2 s to 10 s; sound after 30 s. */
export const RESTART_TIMING: RestartTiming = { firstDelayMs: 200, longestDelayMs: 10_000, soundAfterMs: 30_000 };

/** Delay before the next start after `failures` ends in a row, the last one included. */
export function restartDelayMs(failures: number, timing: RestartTiming): number {
  return Math.min(timing.firstDelayMs * 2 ** Math.max(0, failures - 1), timing.longestDelayMs);
}
