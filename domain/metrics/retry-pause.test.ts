import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { retryPauseMs } from './retry-pause.ts';

const RULES = { initialPauseMs: 1_000, maxPauseMs: 30_000 };

describe('the pause before a retry', () => {
  it('has a bound that doubles up to the longest', () => {
    const bounds = [0, 1, 2, 3, 4, 5, 6].map((retry) => retryPauseMs(retry, 1, RULES));
    expect(bounds).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  });

  it('is spread over everything from nothing to the bound', () => {
    const random = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.nat(2_000), random, (retry, share) => {
        const pause = retryPauseMs(retry, share, RULES);
        expect(pause).toBeGreaterThanOrEqual(0);
        expect(pause).toBeLessThanOrEqual(RULES.maxPauseMs);
        expect(pause).toBeCloseTo(share * retryPauseMs(retry, 1, RULES));
      }),
    );
  });
});
