import { describe, expect, it } from 'vitest';
import { admit, afterFailure, afterSuccess, type Breaker, CLOSED } from './circuit-breaker.ts';

const RULES = { failureThreshold: 5, cooldownMs: 60_000, halfOpenSuccesses: 3 };

function opened(): Breaker {
  return [1, 2, 3, 4, 5].reduce<Breaker>((breaker) => afterFailure(breaker, 0, RULES), CLOSED);
}

describe('a circuit breaker', () => {
  it('opens after five failures in a row, and lets nothing pass until it has cooled down', () => {
    const breaker = opened();
    expect(breaker.kind).toBe('open');
    expect(admit(breaker, 59_999, RULES).admitted).toBe(false);
    expect(admit(breaker, 60_000, RULES).admitted).toBe(true);
  });

  it('forgets failures that were not in a row', () => {
    const four = [1, 2, 3, 4].reduce<Breaker>((breaker) => afterFailure(breaker, 0, RULES), CLOSED);
    expect(afterFailure(afterSuccess(four, RULES), 0, RULES)).toEqual({ kind: 'closed', failures: 1 });
  });

  it('lets one call at a time pass while it is half open, and closes after three', () => {
    let { breaker } = admit(opened(), 60_000, RULES);
    expect(admit(breaker, 60_001, RULES).admitted).toBe(false);
    for (const _ of [1, 2]) {
      breaker = afterSuccess(breaker, RULES);
      expect(breaker.kind).toBe('half-open');
      breaker = admit(breaker, 60_002, RULES).breaker;
    }
    expect(afterSuccess(breaker, RULES)).toEqual(CLOSED);
  });

  it('opens again when a half-open try fails', () => {
    const { breaker } = admit(opened(), 60_000, RULES);
    expect(afterFailure(breaker, 60_005, RULES)).toMatchObject({ kind: 'open', sinceMs: 60_005 });
  });

  it('replaces a try that was never heard of again', () => {
    const { breaker } = admit(opened(), 60_000, RULES);
    expect(admit(breaker, 120_000, RULES).admitted).toBe(true);
  });
});
