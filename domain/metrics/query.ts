import { DomainError, invalidArgument } from '../errors.ts';

/** How fine an answer is. */
export type Resolution = 'live' | 'minute' | 'hour';

/** Length of a step by resolution, milliseconds; live steps are rounds and as long as those. */
export const STEP_MS = { live: 5_000, minute: 60_000, hour: 3_600_000 } as const satisfies Record<Resolution, number>;

/** Steps in an answer at most: a day in minutes and some, or 80 days in hours and some. */
export const MAX_STEPS = 2_000;

/** Points in an answer at most, over all series. */
export const MAX_POINTS = 20_000;

const DAY_MS = 24 * STEP_MS.hour;

/** The longest range; hours are kept for as long. */
export const MAX_RANGE_MS = 400 * DAY_MS;

/** An hour, when nothing is said about the begin. */
const DEFAULT_RANGE_MS = STEP_MS.hour;

/** How long each resolution is kept, milliseconds. */
export type Kept = Readonly<Record<Exclude<Resolution, 'hour'>, number>>;

/** What is asked for. Moments are milliseconds since 1970. */
export interface QueryWish {
  readonly startMs: number | undefined;
  readonly endMs: number | undefined;
  /** `undefined` has it chosen. */
  readonly resolution: Resolution | undefined;
}

/** Even steps: the first begins at `startMs`, the last ends at `endMs`. */
export interface Steps {
  readonly resolution: Resolution;
  readonly stepMs: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly count: number;
}

/**
 * Chooses the steps of an answer: the finest that is kept for the whole range and fits into an answer, unless one is asked
 * for. Steps begin at whole minutes or hours, so that the same step is the same in every answer.
 *
 * @throws INVALID_ARGUMENT for a range that is none, is too long, or has too many steps of the resolution asked for.
 */
export function planSteps(wish: QueryWish, nowMs: number, kept: Kept): Steps {
  const endMs = Math.min(wish.endMs ?? nowMs, nowMs);
  const startMs = wish.startMs ?? endMs - DEFAULT_RANGE_MS;
  if (startMs >= endMs) {
    throw invalidArgument('start', 'it is not before the end of the range, or in the future', 'a moment before `end`');
  }
  if (endMs - startMs > MAX_RANGE_MS) {
    throw invalidArgument('start', `the range has ${inDays(endMs - startMs)} days`, `at most ${inDays(MAX_RANGE_MS)}`);
  }
  const steps = stepsOf(wish.resolution ?? choose({ startMs, endMs }, nowMs, kept), startMs, endMs);
  if (steps.count <= MAX_STEPS) return steps;
  throw new DomainError(
    'INVALID_ARGUMENT',
    `the range has ${steps.count} steps of resolution ${steps.resolution}; allowed are at most ${MAX_STEPS}`,
    { field: 'resolution', hint: 'Ask for a shorter range or a coarser resolution.' },
  );
}

function choose({ startMs, endMs }: { startMs: number; endMs: number }, nowMs: number, kept: Kept): Resolution {
  const isKept = (resolution: keyof Kept): boolean =>
    startMs >= nowMs - kept[resolution] && (endMs - startMs) / STEP_MS[resolution] < MAX_STEPS;
  if (isKept('live')) return 'live';
  return isKept('minute') ? 'minute' : 'hour';
}

function stepsOf(resolution: Resolution, startMs: number, endMs: number): Steps {
  const stepMs = STEP_MS[resolution];
  const first = Math.floor(startMs / stepMs) * stepMs;
  const last = Math.ceil(endMs / stepMs) * stepMs;
  return { resolution, stepMs, startMs: first, endMs: last, count: Math.round((last - first) / stepMs) };
}

function inDays(ms: number): number {
  return Math.ceil(ms / DAY_MS);
}
