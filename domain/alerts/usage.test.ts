import { describe, expect, it } from 'vitest';
import { type UsedMinute, usageOf } from './usage.ts';

const GIB = 1024 ** 3;

function minute(changes: Partial<UsedMinute> = {}): UsedMinute {
  return {
    ...{ deploymentId: 'd', replicaId: 'r1-0', cpuNanos: 30e9, observedMs: 60_000 },
    ...{ memoryAverageBytes: GIB, memoryLimitBytes: 4 * GIB, ...changes },
  };
}

describe('what a deployment used', () => {
  it('is that of the replica that uses most of what it may, over the minutes', () => {
    const used = [
      minute(),
      minute({ cpuNanos: 60e9, memoryAverageBytes: 3 * GIB }),
      minute({ replicaId: 'r1-1', cpuNanos: 6e9, memoryAverageBytes: 3.8 * GIB }),
    ];
    const usage = usageOf(
      used,
      [],
      new Map([
        ['d/r1-0', 1],
        ['d/r1-1', 1],
      ]),
    ).get('d');
    expect(usage?.cpuPercent).toBeCloseTo(75);
    expect(usage?.memoryPercent).toBeCloseTo(95);
    expect(usage?.serverErrorPercent).toBeNull();
  });

  it('is not known without a limit, without a sample, and without a row', () => {
    const unlimited = usageOf([minute({ memoryLimitBytes: 0 })], [], new Map());
    expect(unlimited.get('d')).toEqual({ cpuPercent: null, memoryPercent: null, serverErrorPercent: null });
    expect(usageOf([minute({ observedMs: 0 })], [], new Map([['d/r1-0', 1]])).get('d')?.cpuPercent).toBeNull();
    expect(usageOf([], [], new Map()).size).toBe(0);
  });

  it('says nothing of errors among few requests, and that there are none among few', () => {
    const percent = (requests: number, serverErrors: number) =>
      usageOf([], [{ deploymentId: 'd', requests, serverErrors }], new Map()).get('d')?.serverErrorPercent;
    expect([percent(0, 0), percent(3, 2), percent(3, 0), percent(100, 7)]).toEqual([null, null, 0, 7]);
  });
});
