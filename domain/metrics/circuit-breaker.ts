/** When a breaker opens and closes. */
export interface BreakerRules {
  /** Failures in a row that open it. */
  readonly failureThreshold: number;
  /** How long it stays open, milliseconds. */
  readonly cooldownMs: number;
  /** Successes in a row, one try at a time, that close it again. */
  readonly halfOpenSuccesses: number;
}

/** A breaker's state; `tryStartedMs` is when the one try of a half-open breaker began, `null` while there is none. */
export type Breaker =
  | { readonly kind: 'closed'; readonly failures: number }
  | { readonly kind: 'open'; readonly failures: number; readonly sinceMs: number }
  | {
      readonly kind: 'half-open';
      readonly failures: number;
      readonly successes: number;
      readonly tryStartedMs: number | null;
    };

/** How a breaker starts: everything may pass. */
export const CLOSED: Breaker = { kind: 'closed', failures: 0 };

/** Code of each state, as operators read it. */
export const BREAKER_CODE: Record<Breaker['kind'], number> = { closed: 0, open: 1, 'half-open': 2 };

/** Decides whether a call may pass now. A half-open breaker lets one call at a time pass, never a herd. */
export function admit(
  breaker: Breaker,
  nowMs: number,
  rules: BreakerRules,
): { readonly breaker: Breaker; readonly admitted: boolean } {
  if (breaker.kind === 'closed') return { breaker, admitted: true };
  const { failures } = breaker;
  if (breaker.kind === 'open') {
    if (nowMs - breaker.sinceMs < rules.cooldownMs) return { breaker, admitted: false };
    return { breaker: { kind: 'half-open', failures, successes: 0, tryStartedMs: nowMs }, admitted: true };
  }
  if (breaker.tryStartedMs !== null && nowMs - breaker.tryStartedMs < rules.cooldownMs) {
    return { breaker, admitted: false };
  }
  return { breaker: { ...breaker, tryStartedMs: nowMs }, admitted: true };
}

/** The breaker after a call that answered. */
export function afterSuccess(breaker: Breaker, rules: BreakerRules): Breaker {
  if (breaker.kind !== 'half-open') return breaker.kind === 'closed' ? CLOSED : breaker;
  const successes = breaker.successes + 1;
  return successes >= rules.halfOpenSuccesses ? CLOSED : { ...breaker, successes, tryStartedMs: null };
}

/** The breaker after a call that failed. */
export function afterFailure(breaker: Breaker, nowMs: number, rules: BreakerRules): Breaker {
  const failures = breaker.failures + 1;
  if (breaker.kind === 'closed' && failures < rules.failureThreshold) return { kind: 'closed', failures };
  if (breaker.kind === 'open') return breaker;
  return { kind: 'open', failures, sinceMs: nowMs };
}
