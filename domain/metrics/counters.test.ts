import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evenCounters } from '../../test/support/samples.ts';
import { addCounters, type CountedTo, countOn, NO_COUNTERS } from './counters.ts';
import type { Counters, Reading } from './reading.ts';

type Read = Pick<Reading, 'incarnation' | 'source' | 'counters'>;

/** Nothing has been counted, and no run is known. */
const BEFORE: CountedTo = { incarnation: '', source: 'cgroup', counters: NO_COUNTERS, seen: NO_COUNTERS };

function count(readings: readonly Read[]): { total: Counters; each: Counters[] } {
  let to = BEFORE;
  const each = readings.map((reading) => {
    const { used, after } = countOn(to, reading);
    to = after;
    return used;
  });
  return { total: each.reduce(addCounters, NO_COUNTERS), each };
}

const step = fc.record({
  used: fc.nat(1_000_000),
  restarts: fc.boolean(),
  source: fc.constantFrom('cgroup' as const, 'docker' as const),
  /** How many steps ago Docker's collector came by. */
  age: fc.nat(3),
  again: fc.boolean(),
});

describe('counting on', () => {
  it('adds up to what each run showed at most, over restarts, repeats and changes between fresh and older values', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
        let [run, level, collected] = [0, [0], 0];
        const most = new Map<string, number>();
        const readings = steps.flatMap(({ used, restarts, source, age, again }) => {
          if (restarts) [run, level, collected] = [run + 1, [0], 0];
          level = [...level, (level.at(-1) ?? 0) + used];
          collected = Math.max(collected, level.at(-1 - age) ?? 0);
          const shown = source === 'cgroup' ? (level.at(-1) ?? 0) : collected;
          most.set(`${run}`, Math.max(most.get(`${run}`) ?? 0, shown));
          const reading = { incarnation: `${run}`, source, counters: evenCounters(shown) };
          return again ? [reading, reading] : [reading];
        });
        const { total, each } = count(readings);
        expect(total).toEqual(evenCounters([...most.values()].reduce((sum, value) => sum + value, 0)));
        expect(each.every((used) => Object.values(used).every((value) => value >= 0))).toBe(true);
      }),
    );
  });

  it('never gives less than nothing, nor anew what has been counted, whatever a counter shows', () => {
    const shown = fc.record({ source: fc.constantFrom('cgroup' as const, 'docker' as const), value: fc.nat(1_000) });
    fc.assert(
      fc.property(fc.array(shown, { minLength: 1, maxLength: 60 }), (values) => {
        const readings = values.map(({ source, value }) => {
          return { incarnation: 'a', source, counters: evenCounters(value) };
        });
        const { total, each } = count(readings);
        expect(each.every((used) => Object.values(used).every((value) => value >= 0))).toBe(true);
        expect(total.cpuNanos).toBe(Math.max(...values.map(({ value }) => value)));
        // What begins anew adds at most what it rose by, read in the same way.
        const rises = readings.map(({ source, counters }, index) => {
          const before = readings[index - 1];
          const from = before?.source === source ? before.counters.networkReceiveBytes : 0;
          return Math.max(0, counters.networkReceiveBytes - from);
        });
        expect(total.networkReceiveBytes).toBeLessThanOrEqual(rises.reduce((sum, value) => sum + value, 0));
      }),
    );
  });

  it('takes a counter that was not kept before from its first reading on', () => {
    const { cpuNanos, ...others } = evenCounters(5);
    const before = { incarnation: 'a', source: 'cgroup' as const, counters: { cpuNanos }, seen: { cpuNanos } };
    const { used, after } = countOn(before, { incarnation: 'a', source: 'cgroup', counters: evenCounters(9) });
    expect(used).toEqual({ ...NO_COUNTERS, cpuNanos: 4 });
    expect(after.counters).toMatchObject(Object.fromEntries(Object.keys(others).map((name) => [name, 9])));
  });
});
