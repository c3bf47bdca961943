import { describe, expect, it } from 'vitest';
import { atMost, secondsOf } from './figures.ts';
import { type ExperimentResult, holds, toTable } from './report.ts';

const result = (changes: Partial<ExperimentResult>): ExperimentResult => {
  return { name: 'node-lost', runs: 3, figures: [], breaks: [], ...changes };
};

describe('the report of a cluster', () => {
  it('holds a goal against the worst of several runs, and shows the median beside it', () => {
    const figures = secondsOf('cut to seen lost', [9_000, 21_000, 8_000], 20);
    expect(figures.map(({ value, goal, holds }) => [value, goal, holds])).toEqual([
      [9, null, true],
      [21, '<= 20 s', false],
    ]);
    expect(holds(result({ figures }))).toBe(false);
    expect(toTable([result({ figures })])).toContain('MISSED');
  });

  it('does not hold when an invariant broke, whatever the figures are', () => {
    const figures = [atMost(0, { name: 'failed requests', value: 0, unit: '' })];
    expect(holds(result({ figures }))).toBe(true);
    const broken = result({ figures, breaks: ['run 2: I1: two containers'] });
    expect(holds(broken)).toBe(false);
    expect(toTable([broken])).toContain('node-lost: run 2: I1: two containers');
  });
});
