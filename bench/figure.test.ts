import { describe, expect, it } from 'vitest';
import { againstFloor, atMost, nearFloor, nearTarget, percentile } from './figure.ts';

describe('figures', () => {
  it('takes percentiles by nearest rank, whatever the order', () => {
    const samples = [5, 1, 4, 2, 3];
    expect(percentile(samples, 0.5)).toBe(3);
    expect(percentile(samples, 0.95)).toBe(5);
    expect(percentile(samples, 0)).toBe(1);
  });

  it('holds while the ratio is within the goal, and not beyond', () => {
    expect(againstFloor({ name: 'p50', value: 16, floor: 10, maxRatio: 1.6 })).toMatchObject({
      ratio: 1.6,
      holds: true,
    });
    expect(againstFloor({ name: 'p50', value: 17, floor: 10, maxRatio: 1.6 }).holds).toBe(false);
  });

  it('holds up to the most that a figure may be, and always where nothing is aimed at', () => {
    expect(atMost({ name: 'ready', value: 15, unit: 's', max: 15 })).toMatchObject({ goal: '<= 15 s', holds: true });
    expect(atMost({ name: 'ready', value: 15.1, unit: 's', max: 15 }).holds).toBe(false);
    expect(atMost({ name: 'ready', value: 900, unit: 's', max: null })).toMatchObject({ goal: null, holds: true });
  });

  it('holds within the tolerance of a target, on both sides, whatever the floor says', () => {
    const around = (value: number) =>
      nearTarget({ name: 'CPU', value, unit: '%', floor: 40, target: 50, tolerance: 3 });
    expect([46.9, 47, 53, 53.1].map((value) => around(value).holds)).toEqual([false, true, true, false]);
    expect(around(50)).toMatchObject({ ratio: 1.25, goal: '50 ± 3 %' });
  });

  it('holds within a share of the floor, on both sides', () => {
    const beside = (value: number) => nearFloor({ name: 'memory', value, unit: 'MiB', floor: 100, tolerance: 0.05 });
    expect([94, 96, 104, 106].map((value) => beside(value).holds)).toEqual([false, true, true, false]);
  });

  it('never holds for a figure that could not be taken', () => {
    const untaken = { name: 'untaken', value: Number.NaN, unit: 's' };
    expect(atMost({ ...untaken, max: 15 }).holds).toBe(false);
    expect(nearTarget({ ...untaken, floor: 1, target: 1, tolerance: 1 }).holds).toBe(false);
    expect(nearFloor({ ...untaken, floor: 1, tolerance: 1 }).holds).toBe(false);
    expect(againstFloor({ ...untaken, floor: 1, maxRatio: 2 }).holds).toBe(false);
  });
});
