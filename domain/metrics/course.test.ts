import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drawCourse, percentileOf, type UseRow } from './course.ts';
import { toUseRows } from './live-use.ts';
import { type Kept, MAX_STEPS, planSteps, type Resolution, STEP_MS } from './query.ts';

const KEPT: Kept = { live: 300_000, minute: 24 * STEP_MS.hour };
const NOW_MS = 1_000_000 * STEP_MS.minute;
const MINUTES = planSteps({ startMs: NOW_MS - 5 * STEP_MS.minute, endMs: NOW_MS, resolution: 'minute' }, NOW_MS, KEPT);

function aRow(changes: Partial<UseRow> = {}): UseRow {
  return {
    replicaId: 'r1-0',
    atMs: MINUTES.startMs,
    observedMs: 60_000,
    cpuNanos: 30_000_000_000,
    cpuThrottledNanos: 0,
    memoryAverageBytes: 100,
    memoryMaxBytes: 200,
    networkReceiveBytes: 60_000,
    networkTransmitBytes: 0,
    diskReadBytes: 0,
    diskWriteBytes: 0,
    pids: 2,
    ...changes,
  };
}

const cpuOf = (rows: readonly UseRow[], aggregation: Parameters<typeof drawCourse>[2]) =>
  drawCourse(rows, MINUTES, aggregation).map(({ points }) => points.map(({ values }) => values?.cpuPercent ?? null));

describe('the steps of an answer', () => {
  const resolutionOf = (agoMs: number, lengthMs = agoMs): Resolution =>
    planSteps({ startMs: NOW_MS - agoMs, endMs: NOW_MS - agoMs + lengthMs, resolution: undefined }, NOW_MS, KEPT)
      .resolution;

  it('are the finest that is kept for the range and fits', () => {
    expect(resolutionOf(4 * STEP_MS.minute)).toBe('live');
    expect(resolutionOf(6 * STEP_MS.minute)).toBe('minute');
    expect(resolutionOf(24 * STEP_MS.hour)).toBe('minute');
    expect(resolutionOf(25 * STEP_MS.hour)).toBe('hour');
    expect(resolutionOf(48 * STEP_MS.hour, STEP_MS.hour)).toBe('hour');
  });

  it('cover the range, begin at whole steps, and are never too many', () => {
    const range = fc.record({
      agoMs: fc.integer({ min: 1, max: 80 * 24 * STEP_MS.hour }),
      share: fc.double({ min: 0.01, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(range, ({ agoMs, share }) => {
        const startMs = NOW_MS - agoMs;
        const endMs = startMs + Math.max(1, Math.floor(agoMs * share));
        const steps = planSteps({ startMs, endMs, resolution: undefined }, NOW_MS, KEPT);
        expect(steps.startMs % steps.stepMs).toBe(0);
        expect(steps.startMs).toBeLessThanOrEqual(startMs);
        expect(steps.endMs).toBeGreaterThanOrEqual(endMs);
        expect(steps.startMs + steps.count * steps.stepMs).toBe(steps.endMs);
        expect(steps.count).toBeLessThanOrEqual(MAX_STEPS);
      }),
    );
  });

  it('are refused for a range that is none, too long, or too fine', () => {
    const plan = (startMs: number, endMs: number, resolution?: Resolution) => () =>
      planSteps({ startMs, endMs, resolution }, NOW_MS, KEPT);
    expect(plan(NOW_MS + 1, NOW_MS + 2)).toThrow('not before the end');
    expect(plan(NOW_MS, NOW_MS - 1)).toThrow('not before the end');
    expect(plan(NOW_MS - 401 * 24 * STEP_MS.hour, NOW_MS)).toThrow('allowed is at most 400');
    expect(plan(NOW_MS - 48 * STEP_MS.hour, NOW_MS, 'minute')).toThrow('2880 steps of resolution minute');
  });
});

describe('the course of use', () => {
  it('has a gap where there is no row, and 0 where nothing was used', () => {
    const rows = [aRow(), aRow({ atMs: MINUTES.startMs + 2 * 60_000, cpuNanos: 0 })];
    expect(cpuOf(rows, 'sum')).toEqual([[50, null, 0, null, null]]);
    expect(drawCourse(rows, MINUTES, 'sum')[0]?.points[1]).toMatchObject({ replicas: 0, values: null, observed: 0 });
  });

  it('adds, averages, takes the most, or keeps replicas apart', () => {
    const rows = [aRow(), aRow({ replicaId: 'r1-10', cpuNanos: 60_000_000_000 }), aRow({ replicaId: 'r1-2' })];
    const first = (aggregation: Parameters<typeof drawCourse>[2]) => cpuOf(rows, aggregation).map(([value]) => value);
    expect(first('sum')).toEqual([200]);
    expect(first('average')).toEqual([200 / 3]);
    expect(first('maximum')).toEqual([100]);
    expect(first('none')).toEqual([50, 50, 100]);
    expect(drawCourse(rows, MINUTES, 'none').map(({ replicaId }) => replicaId)).toEqual(['r1-0', 'r1-2', 'r1-10']);
  });

  it('sums to what was used, however replicas take turns and rows are cut', () => {
    const part = fc.record({
      replica: fc.nat(3),
      step: fc.nat(4),
      observedMs: fc.integer({ min: 1, max: 60_000 }),
      cpuMs: fc.nat(60_000),
    });
    fc.assert(
      fc.property(fc.array(part, { maxLength: 30 }), (parts) => {
        const rows = parts.map(({ replica, step, observedMs, cpuMs }) =>
          aRow({
            replicaId: `r1-${replica}`,
            atMs: MINUTES.startMs + step * 60_000,
            observedMs,
            cpuNanos: cpuMs * 1e6,
          }),
        );
        // A replica that was watched for longer than the step in all would be spread: that is the next test.
        const watched = Map.groupBy(parts, ({ replica, step }) => `${replica} ${step}`);
        fc.pre(
          [...watched.values()].every((own) => own.reduce((sum, { observedMs }) => sum + observedMs, 0) <= 60_000),
        );
        const [series] = drawCourse(rows, MINUTES, 'sum');
        const drawn = (series?.points ?? []).reduce((sum, { values }) => sum + (values?.cpuPercent ?? 0), 0);
        expect(drawn).toBeCloseTo(
          parts.reduce((sum, { cpuMs }) => sum + (cpuMs / 60_000) * 100, 0),
          6,
        );
      }),
    );
  });

  it('spreads a row that stands for a pause over that pause', () => {
    expect(cpuOf([aRow({ observedMs: 600_000, cpuNanos: 300_000_000_000 })], 'sum')[0]?.[0]).toBe(50);
  });

  it('refuses an answer with too many points', () => {
    const rows = Array.from({ length: 5_000 }, (_, index) => aRow({ replicaId: `r1-${index}` }));
    expect(() => drawCourse(rows, MINUTES, 'none')).toThrow('5000 replicas at 5 steps are 25000 points');
  });

  it('has percentiles by nearest rank over what is no gap', () => {
    const rows = [1, 2, 3, 4].map((value) => aRow({ atMs: MINUTES.startMs + value * 60_000, cpuNanos: value * 6e8 }));
    const [series] = drawCourse(rows, MINUTES, 'sum');
    const at = (percentile: number) => percentileOf(series?.points ?? [], 'cpuPercent', percentile);
    expect([at(0), at(50), at(75), at(99), at(100)]).toEqual([1, 2, 3, 4, 4]);
    expect(percentileOf([], 'cpuPercent', 50)).toBeNull();
  });
});

describe('live readings', () => {
  const reading = (atMs: number, changes = {}) => ({
    ...{ replicaId: 'r1-0', containerId: 'c', atMs, startedAtMs: 0, cpuNanos: atMs * 500_000, cpuThrottledNanos: 0 },
    ...{
      memoryBytes: 1,
      networkReceiveBytes: 0,
      networkTransmitBytes: 0,
      diskReadBytes: 0,
      diskWriteBytes: 0,
      pids: 1,
    },
    ...changes,
  });

  it('fill each step once, however early or late rounds come', () => {
    const late = fc.array(fc.integer({ min: -1_500, max: 1_500 }), { minLength: 60, maxLength: 60 });
    fc.assert(
      fc.property(late, fc.nat(4_999), (jitter, phaseMs) => {
        const readings = jitter.map((ms, index) =>
          reading(10_000_000 + phaseMs + index * 5_000 + (index === 59 ? 0 : ms)),
        );
        const steps = toUseRows(readings, 5_000).map(({ atMs }) => atMs);
        expect(new Set(steps).size).toBe(59);
        expect(Math.max(...steps) - Math.min(...steps)).toBe(58 * 5_000);
      }),
    );
  });

  it('have no row between two runs', () => {
    const rows = toUseRows(
      [reading(5_000), reading(10_000, { startedAtMs: 7_000 }), reading(15_000, { startedAtMs: 7_000 })],
      5_000,
    );
    expect(rows.map(({ atMs }) => atMs)).toEqual([15_000]);
  });
});
