import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evenCounters, aSample as someSample } from '../../test/support/samples.ts';
import { addCounters, countedSince, countedTo, countOn, cpuPercentBetween, NO_COUNTERS } from './counters.ts';
import { addSample, closeMinute, type MinuteRow, type OpenMinute, toRow } from './minutes.ts';
import type { Counters, Sample } from './reading.ts';

const RULES = { minuteMs: 60_000, knownSinceMs: 0 };
const START_MS = 600_000;

const aSample = (changes: Partial<Sample> = {}): Sample => someSample({ containerId: 'c', ...changes });

/** Rows of a run of samples, the last minute included. */
function rowsOf(samples: readonly Sample[], rules = RULES): MinuteRow[] {
  const rows: MinuteRow[] = [];
  let open: OpenMinute | undefined;
  for (const sample of samples) {
    const added = addSample(open, sample, rules);
    if (added.row) rows.push(added.row);
    open = added.open;
  }
  const last = open && toRow(open);
  return last ? [...rows, last] : rows;
}

function totalOf(rows: readonly MinuteRow[]): Counters {
  return rows.reduce<Counters>((sum, row) => addCounters(sum, row), NO_COUNTERS);
}

describe('minute rows', () => {
  it('add up to what the kernel counted, whatever the pauses, restarts and jumps of the clock', () => {
    const step = fc.record({
      used: fc.nat(1_000_000),
      passedMs: fc.integer({ min: -30_000, max: 200_000 }),
      restarts: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
        let [atMs, run, counted, total] = [START_MS, 0, 0, 0];
        const samples = steps.map(({ used, passedMs, restarts }) => {
          atMs += passedMs;
          if (restarts) run += 1;
          counted = restarts ? used : counted + used;
          total += used;
          return aSample({ atMs, incarnation: `run ${run}`, counters: evenCounters(counted) });
        });
        const rows = rowsOf(samples);
        expect(totalOf(rows)).toEqual(evenCounters(total));
        expect(new Set(rows.map((row) => row.minuteMs)).size).toBe(rows.length);
        expect(rows.reduce((sum, row) => sum + row.samples, 0)).toBe(samples.length);
      }),
    );
  });

  it('give a difference to the minute of its second sample, and memory to the minute it was read in', () => {
    const rows = rowsOf([
      aSample({ atMs: START_MS, counters: evenCounters(10), memoryBytes: 100 }),
      aSample({ atMs: START_MS + 30_000, counters: evenCounters(40), memoryBytes: 300 }),
      aSample({ atMs: START_MS + 61_000, counters: evenCounters(100), memoryBytes: 50 }),
    ]);
    expect(rows).toMatchObject([
      { minuteMs: START_MS, cpuNanos: 40, memoryAverageBytes: 200, memoryMaxBytes: 300, samples: 2 },
      { minuteMs: START_MS + 60_000, cpuNanos: 60, memoryAverageBytes: 50, memoryMaxBytes: 50, samples: 1 },
    ]);
  });

  it('leave out what an unknown container used before it was met', () => {
    const old = { startedAtMs: START_MS - 1 };
    const rules = { ...RULES, knownSinceMs: START_MS };
    const rows = rowsOf(
      [aSample({ ...old, counters: evenCounters(500) }), aSample({ ...old, counters: evenCounters(503) })],
      rules,
    );
    expect(totalOf(rows)).toEqual(evenCounters(3));
  });

  it('count on from what is left when an interface has gone unseen, and never anew what has been counted', () => {
    const before = aSample({ counters: evenCounters(100) });
    const [less, more] = [evenCounters(60), evenCounters(65)];
    const { used, after } = countOn(countedTo(before), aSample({ counters: less }));
    expect(used).toEqual(NO_COUNTERS);
    const then = countOn(after, aSample({ counters: more })).used;
    expect(then).toMatchObject({ networkReceiveBytes: 5, networkTransmitPackets: 5, cpuNanos: 0, diskReadBytes: 0 });
  });

  it('count nothing twice when a container is read in another way, whose values may be older', () => {
    const before = aSample({ counters: { ...evenCounters(100), diskReadBytes: 0 } });
    const after = aSample({ source: 'docker', counters: { ...evenCounters(90), diskReadBytes: 8 } });
    expect(countedSince(before, after)).toEqual({ ...evenCounters(0), diskReadBytes: 8 });
    expect(cpuPercentBetween(before, aSample({ source: 'docker', clockMs: before.clockMs + 5 }))).toBeNull();
  });

  it('close when the minute is over, once, though no sample comes any more', () => {
    const { open } = addSample(undefined, aSample({ counters: evenCounters(5) }), RULES);
    expect(closeMinute(open, START_MS + 59_999, RULES).row).toBeNull();
    const closed = closeMinute(open, START_MS + 60_000, RULES);
    expect(closed.row).toMatchObject({ minuteMs: START_MS, cpuNanos: 5 });
    expect(closeMinute(closed.open, START_MS + 120_000, RULES).row).toBeNull();
    const next = addSample(closed.open, aSample({ atMs: START_MS + 130_000, counters: evenCounters(9) }), RULES);
    expect(toRow(next.open)).toMatchObject({ minuteMs: START_MS + 120_000, cpuNanos: 4 });
  });
});

describe('the CPU percentage', () => {
  const first = aSample({ clockMs: 1_000, counters: evenCounters(0) });

  it('is of one core, by the clock that never jumps', () => {
    const second = aSample({ clockMs: 6_000, atMs: 0, counters: evenCounters(2_500_000_000) });
    expect(cpuPercentBetween(first, second)).toBe(50);
  });

  it('does not exist for the first reading of a run, nor between two runs', () => {
    expect(cpuPercentBetween(undefined, first)).toBeNull();
    expect(cpuPercentBetween(first, aSample({ clockMs: 2_000, incarnation: 'second' }))).toBeNull();
  });
});
