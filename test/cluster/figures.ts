import { percentile } from '../../bench/figure.ts';

/** One measured figure. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What must hold, in words; `null` where nothing must. */
  readonly goal: string | null;
  readonly holds: boolean;
}

/** A figure that must not be above `most`; `null` where nothing must hold. */
export function atMost(most: number | null, figure: Pick<Figure, 'name' | 'value' | 'unit'>): Figure {
  const { name, value, unit } = figure;
  const goal = most === null ? null : `<= ${most} ${unit}`;
  return { name, value, unit, goal, holds: most === null || value <= most };
}

/** A figure that must not be below `least`. */
export function atLeast(least: number, { name, value, unit }: Pick<Figure, 'name' | 'value' | 'unit'>): Figure {
  return { name, value, unit, goal: `>= ${least} ${unit}`, holds: value >= least };
}

/** The median of some durations, and the longest, which must not be above `most`. Given in ms, told in seconds. */
export function secondsOf(name: string, durationsMs: readonly number[], most: number | null): Figure[] {
  const seconds = durationsMs.map((ms) => ms / 1000);
  return [
    atMost(null, { name: `${name}, median`, value: percentile(seconds, 0.5), unit: 's' }),
    atMost(most, { name: `${name}, worst`, value: percentile(seconds, 1), unit: 's' }),
  ];
}
