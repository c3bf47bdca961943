import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addNodeReading,
  closeNodeMinute,
  type NodeReading,
  nodeCpuPercent,
  type OpenNodeMinute,
} from './node-minutes.ts';

const RULES = { minuteMs: 60_000 };

function aReading(atMs: number, busy: number, changes: Partial<NodeReading> = {}): NodeReading {
  return {
    incarnation: 'boot',
    atMs,
    counters: {
      cpuBusyNanos: busy,
      cpuTotalNanos: 2 * busy,
      pressureCpuMicros: busy,
      pressureMemoryMicros: null,
      pressureIoMicros: busy,
    },
    memoryUsedBytes: 100,
    memoryTotalBytes: 1_000,
    diskUsedBytes: 5,
    diskTotalBytes: 10,
    load1Hundredths: 150,
    ...changes,
  };
}

describe('minutes of a host', () => {
  it('add up to what was counted from the first reading on, over boots and jumps of the clock', () => {
    const step = fc.record({
      used: fc.nat(1_000_000),
      passedMs: fc.integer({ min: -30_000, max: 200_000 }),
      boots: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
        let [atMs, boot, counted, total, stored] = [600_000, 0, 0, 0, 0];
        let open: OpenNodeMinute | undefined;
        const minutes: number[] = [];
        for (const [index, { used, passedMs, boots }] of steps.entries()) {
          atMs += passedMs;
          if (boots) boot += 1;
          counted = boots ? used : counted + used;
          if (index > 0) total += used;
          const added = addNodeReading(open, aReading(atMs, counted, { incarnation: `${boot}` }), RULES);
          open = added.open;
          if (!added.row) continue;
          stored += added.row.cpuBusyNanos;
          minutes.push(added.row.minuteMs);
          expect(added.row.pressureMemoryMicros).toBeNull();
        }
        expect(stored + (open?.used.cpuBusyNanos ?? 0)).toBe(total);
        expect(open?.used.pressureCpuMicros).toBe(open?.used.cpuBusyNanos);
        expect(new Set(minutes).size).toBe(minutes.length);
      }),
    );
  });

  it('hold averages of memory and load, and the disk as it was last', () => {
    const first = addNodeReading(undefined, aReading(600_000, 10), RULES);
    const changes = { memoryUsedBytes: 301, load1Hundredths: 50, diskUsedBytes: 8 };
    const second = addNodeReading(first.open, aReading(630_000, 40, changes), RULES);
    const { open, row } = closeNodeMinute(second.open, 660_000, RULES);
    expect(row).toEqual({
      minuteMs: 600_000,
      cpuBusyNanos: 30,
      cpuTotalNanos: 60,
      pressureCpuMicros: 30,
      pressureMemoryMicros: null,
      pressureIoMicros: 30,
      memoryUsedBytes: 201,
      memoryTotalBytes: 1_000,
      diskUsedBytes: 8,
      diskTotalBytes: 10,
      load1Hundredths: 100,
      samples: 2,
    });
    expect(closeNodeMinute(open, 720_000, RULES).row).toBeNull();
    expect(closeNodeMinute(second.open, 659_999, RULES).row).toBeNull();
  });

  it('show CPU as a share of all cores, between readings of one boot', () => {
    expect(nodeCpuPercent(undefined, aReading(0, 10))).toBeNull();
    expect(nodeCpuPercent(aReading(0, 10), aReading(5, 30))).toBe(50);
    expect(nodeCpuPercent(aReading(0, 10), aReading(5, 30, { incarnation: 'next' }))).toBeNull();
  });
});
