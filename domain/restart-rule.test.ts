import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  nextRestart,
  passesMilestone,
  RESTART_RULES,
  type ReplicaExit,
  restartDelayMs,
  scatterOf,
} from './restart-rule.ts';

const exits = fc.record<ReplicaExit>({
  policy: fc.constantFrom('always', 'on-failure', 'never'),
  exitCode: fc.option(fc.integer({ min: 0, max: 255 })),
  streak: fc.nat(100_000),
  waitedMs: fc.integer({ min: -1_000_000, max: 1_000_000 }),
  scatter: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
});

const rules = fc.record({
  firstDelayMs: fc.integer({ min: 1, max: 10_000 }),
  longestDelayMs: fc.integer({ min: 10_000, max: 3_600_000 }),
  stableMs: fc.integer({ min: 1, max: 3_600_000 }),
  leftToDaemon: fc.integer({ min: 1, max: 10 }),
});

describe('the pause before a restart', () => {
  it('is half a second at first, doubles, and ends at five minutes', () => {
    const delays = Array.from({ length: 12 }, (_, streak) => restartDelayMs({ streak, scatter: 0 }, RESTART_RULES));
    expect(delays.map((delayMs) => delayMs / 1000)).toEqual([0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
  });

  it('never exceeds the longest, is never much below the whole, and never shrinks within a streak', () => {
    fc.assert(
      fc.property(exits, rules, (exit, given) => {
        const delayMs = restartDelayMs(exit, given);
        expect(delayMs).toBeLessThanOrEqual(given.longestDelayMs);
        expect(delayMs).toBeGreaterThanOrEqual(Math.round(0.8 * given.firstDelayMs));
        expect(restartDelayMs({ ...exit, streak: exit.streak + 1 }, given)).toBeGreaterThanOrEqual(delayMs);
      }),
    );
  });
});

describe('what follows from an exit', () => {
  it('is never a restart where none is wanted', () => {
    fc.assert(
      fc.property(exits, rules, (exit, given) => {
        const isWanted = exit.policy === 'always' || (exit.policy === 'on-failure' && exit.exitCode !== 0);
        expect(nextRestart(exit, given).kind !== 'never').toBe(isWanted);
      }),
    );
  });

  it('is a restart as soon as the pause has been waited for, and no sooner', () => {
    fc.assert(
      fc.property(exits, rules, (exit, given) => {
        const verdict = nextRestart(exit, given);
        if (verdict.kind === 'now') expect(exit.waitedMs).toBeGreaterThanOrEqual(restartDelayMs(exit, given));
        if (verdict.kind !== 'after') return;
        expect(verdict.delayMs).toBeLessThanOrEqual(given.longestDelayMs);
        const waitedMs = Math.max(0, exit.waitedMs) + verdict.delayMs;
        expect(nextRestart({ ...exit, waitedMs }, given)).toEqual({ kind: 'now' });
      }),
    );
  });
});

describe('the scatter', () => {
  it('is the same for a replica each time, and another for its neighbour', () => {
    expect(scatterOf('d r1-0')).toBe(scatterOf('d r1-0'));
    const places = Array.from({ length: 100 }, (_, index) => scatterOf(`d r1-${index}`));
    expect(new Set(places).size).toBe(100);
    expect(Math.min(...places)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...places)).toBeLessThan(1);
  });
});

it('tells the first of a row, and then each doubling, also when several come at once', () => {
  const counts = Array.from({ length: 1_000 }, (_, count) => count);
  expect(counts.filter((count) => passesMilestone(count - 1, count))).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
  const several = [passesMilestone(4, 7), passesMilestone(4, 8), passesMilestone(5, 9), passesMilestone(0, 7)];
  expect(several).toEqual([false, true, true, true]);
  expect(passesMilestone(3, 3)).toBe(false);
});
