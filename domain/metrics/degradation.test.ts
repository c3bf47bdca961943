import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterRound, type Degradation, INTERVAL_STEPS, intervalAt, NOT_DEGRADED, type Strain } from './degradation.ts';

const NORMAL_MS = 5_000;
const CALM: Strain = { roundMs: 10, isCutShort: false, loopLagMs: 5, memoryShare: 0.3 };

function run(rounds: readonly Strain[], from: Degradation = NOT_DEGRADED): Degradation {
  return rounds.reduce((before, strain) => afterRound(before, strain, NORMAL_MS), from);
}

const times = (count: number, strain: Strain): Strain[] => new Array<Strain>(count).fill(strain);
const strain = fc.record({
  roundMs: fc.nat(40_000),
  isCutShort: fc.boolean(),
  loopLagMs: fc.nat(1_000),
  memoryShare: fc.double({ min: 0, max: 1, noNaN: true }),
});

describe('degradation', () => {
  it('widens the interval from 5 to 10, 20 and 30 seconds, and no further', () => {
    expect(INTERVAL_STEPS.map((_, level) => intervalAt(level, NORMAL_MS))).toEqual([5_000, 10_000, 20_000, 30_000]);
    expect(intervalAt(99, NORMAL_MS)).toBe(30_000);
  });

  it.each([
    ['a round that takes most of the interval', { ...CALM, roundMs: 4_001 }],
    ['a round that its deadline ended', { ...CALM, isCutShort: true }],
    ['a late event loop', { ...CALM, loopLagMs: 251 }],
    ['memory running out', { ...CALM, memoryShare: 0.91 }],
  ])('goes up a step after two rounds with %s, not after one', (_, strained) => {
    expect(run([strained]).level).toBe(0);
    expect(run([strained, CALM, strained]).level).toBe(0);
    expect(run([strained, strained]).level).toBe(1);
  });

  it('goes down a step after six easy rounds in a row, and not while a round is neither easy nor strained', () => {
    const up = run(times(4, { ...CALM, loopLagMs: 300 }));
    expect(up.level).toBe(2);
    expect(run(times(5, CALM), up).level).toBe(2);
    expect(run(times(6, CALM), up).level).toBe(1);
    const between = { ...CALM, loopLagMs: 150 };
    expect(run([...times(5, CALM), between, ...times(5, CALM)], up).level).toBe(2);
    expect(run(times(100, between), up).level).toBe(2);
  });

  it('stays where a round would not fit into the shorter interval', () => {
    const one = run(times(2, { ...CALM, isCutShort: true }));
    expect(run(times(100, { ...CALM, roundMs: 2_500 }), one).level).toBe(1);
  });

  it('moves by one step at most, within its steps, and comes back from wherever it went', () => {
    fc.assert(
      fc.property(fc.array(strain, { maxLength: 100 }), (rounds) => {
        let state = NOT_DEGRADED;
        for (const one of rounds) {
          const next = afterRound(state, one, NORMAL_MS);
          expect(Math.abs(next.level - state.level)).toBeLessThanOrEqual(1);
          expect(next.level).toBeGreaterThanOrEqual(0);
          expect(next.level).toBeLessThan(INTERVAL_STEPS.length);
          state = next;
        }
        expect(run(times(6 * INTERVAL_STEPS.length, CALM), state)).toEqual(NOT_DEGRADED);
      }),
    );
  });

  it('does not go to and fro when the work is what a longer interval can just hold', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 24_000 }), (workMs) => {
        const levels: number[] = [];
        let state = NOT_DEGRADED;
        for (let round = 0; round < 200; round += 1) {
          state = afterRound(state, { ...CALM, roundMs: workMs }, NORMAL_MS);
          levels.push(state.level);
        }
        expect(new Set(levels.slice(50)).size).toBe(1);
      }),
    );
  });
});
