/** How a failed call is tried again. */
export interface RetryRules {
  /** Tries after the first one. */
  readonly maxRetries: number;
  /** Longest pause before the first of them, milliseconds; it doubles with each. */
  readonly initialPauseMs: number;
  readonly maxPauseMs: number;
}

/**
 * The pause before a retry, milliseconds: anything from nothing to a bound that doubles ("full jitter"), so that callers
 * who failed together do not come back together.
 *
 * @param retry 0 for the first one.
 * @param random 0 to 1.
 */
export function retryPauseMs(retry: number, random: number, rules: Omit<RetryRules, 'maxRetries'>): number {
  return random * Math.min(rules.maxPauseMs, rules.initialPauseMs * 2 ** retry);
}
