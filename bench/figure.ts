/** One measured figure beside its floor. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The same measure of the floor, interleaved in the same run; `null` for a figure that stands alone. */
  readonly floor: number | null;
  /** `value / floor`; `null` without a floor. */
  readonly ratio: number | null;
  /** What is aimed at, in words: `ratio <= 1.6`. `null` where nothing is. */
  readonly goal: string | null;
  readonly holds: boolean;
}

/** A comparison that can be run by name. */
export interface Bench {
  readonly name: string;
  /** One line: what is measured against what. */
  readonly about: string;
  run(): Promise<readonly Figure[]>;
}

/** The value below which `share` (0 to 1) of the samples lie, by nearest rank. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** A figure in milliseconds beside its floor, with the ratio that is aimed at. */
export function againstFloor(measure: {
  readonly name: string;
  readonly value: number;
  readonly floor: number;
  readonly maxRatio: number | null;
}): Figure {
  const ratio = measure.value / measure.floor;
  const goal = measure.maxRatio === null ? null : `ratio <= ${measure.maxRatio}`;
  const holds = measure.maxRatio === null || ratio <= measure.maxRatio;
  return { name: measure.name, value: measure.value, unit: 'ms', floor: measure.floor, ratio, goal, holds };
}

/** A figure that stands alone and should not be above `max`; `null` where nothing is aimed at. */
export function atMost(measure: {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly max: number | null;
}): Figure {
  const { name, value, unit, max } = measure;
  const goal = max === null ? null : `<= ${max} ${unit}`;
  return { name, value, unit, floor: null, ratio: null, goal, holds: max === null || value <= max };
}

/** A measured value beside what the kernel itself counted: how far it may be from a target. */
export function nearTarget(measure: {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly floor: number;
  readonly target: number;
  readonly tolerance: number;
}): Figure {
  const { name, value, unit, floor, target, tolerance } = measure;
  const holds = Math.abs(value - target) <= tolerance;
  return { name, value, unit, floor, ratio: value / floor, goal: `${target} ± ${tolerance} ${unit}`, holds };
}

/** A measured value that should be what the kernel itself counted, within a share of that. */
export function nearFloor(measure: {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly floor: number;
  readonly tolerance: number;
}): Figure {
  const { name, value, unit, floor, tolerance } = measure;
  const ratio = value / floor;
  const holds = Math.abs(ratio - 1) <= tolerance;
  return { name, value, unit, floor, ratio, goal: `ratio 1 ± ${tolerance}`, holds };
}

/** A rate beside that of its floor, of which it should reach a share. */
export function shareOfFloor(measure: {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly floor: number;
  readonly minRatio: number;
}): Figure {
  const { name, value, unit, floor, minRatio } = measure;
  const ratio = value / floor;
  return { name, value, unit, floor, ratio, goal: `ratio >= ${minRatio}`, holds: ratio >= minRatio };
}
