import { describe, expect, it } from 'vitest';
import { againstFloor, percentile } from './figure.ts';

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
});
