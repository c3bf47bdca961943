import { addCounters, type CountedTo, countedTo, countOn, NO_COUNTERS } from './counters.ts';
import type { Counters, Sample } from './reading.ts';

/** What a container used in one minute. Rows of a container add up to what the kernel counted for it. */
export interface MinuteRow extends Counters {
  readonly containerId: string;
  /** Start of the minute, milliseconds since 1970. */
  readonly minuteMs: number;
  readonly deploymentId: string;
  readonly replicaId: string;
  /** Average of the samples, whole bytes. */
  readonly memoryAverageBytes: number;
  readonly memoryMaxBytes: number;
  /** As the last sample showed it; 0 when there is no limit. */
  readonly memoryLimitBytes: number;
  /** As the last sample showed it. */
  readonly pageCacheBytes: number;
  readonly pidsMax: number;
  /**
   * How long the container ran for what this row counts: each sample stands for the time since the one before, or since
   * the start. Longer than the minute after a pause, and then it is the pause's time that is made up for.
   */
  readonly observedMs: number;
  /** Readings in this minute; 0 never happens. */
  readonly samples: number;
}

/** A container's open minute, and the reading from which the next difference is taken. Plain data: it is kept in a file. */
export interface OpenMinute extends CountedTo {
  readonly containerId: string;
  readonly deploymentId: string;
  readonly replicaId: string;
  readonly minuteMs: number;
  /** When the newest sample was taken, by the wall clock. */
  readonly atMs: number;
  /** The same by the clock that never jumps; `null` when another process took it, whose clock is not ours. */
  readonly clockMs: number | null;
  readonly used: Counters;
  readonly memorySumBytes: number;
  readonly memoryMaxBytes: number;
  readonly memoryLimitBytes: number;
  readonly pageCacheBytes: number;
  readonly pidsMax: number;
  readonly observedMs: number;
  readonly samples: number;
}

/** What a minute begins with. */
const NOTHING_YET = {
  used: NO_COUNTERS,
  memorySumBytes: 0,
  memoryMaxBytes: 0,
  pidsMax: 0,
  observedMs: 0,
  samples: 0,
} as const;

/** Rules by which samples become rows. */
export interface MinuteRules {
  /** Length of a "minute", milliseconds: the storage interval. */
  readonly minuteMs: number;
  /**
   * From when on every container's start has been seen, milliseconds since 1970. A container that is met for the first
   * time and started later is counted from zero; an older one only from its first reading on, since what it used
   * before may have been stored already.
   */
  readonly knownSinceMs: number;
}

/**
 * Adds a sample to a container's open minute, and closes that minute when the sample lies in a later one.
 *
 * What was used between two samples belongs to the minute of the second. A closed minute is never opened again, even
 * if the wall clock goes backwards: rows are keyed by container and minute, and a second one would be lost.
 */
export function addSample(
  open: OpenMinute | undefined,
  sample: Sample,
  rules: MinuteRules,
): { readonly open: OpenMinute; readonly row: MinuteRow | null } {
  const { used, after } = open ? countOn(open, sample) : countedAtFirst(sample, rules);
  const minuteMs = Math.max(minuteOf(sample.atMs, rules.minuteMs), open?.minuteMs ?? 0);
  const isSame = open?.minuteMs === minuteMs;
  const sums = isSame ? open : NOTHING_YET;
  return {
    open: {
      ...after,
      containerId: sample.containerId,
      deploymentId: sample.deploymentId,
      replicaId: sample.replicaId,
      minuteMs,
      atMs: sample.atMs,
      clockMs: sample.clockMs,
      used: addCounters(sums.used, used),
      memorySumBytes: sums.memorySumBytes + sample.memoryBytes,
      memoryMaxBytes: Math.max(sums.memoryMaxBytes, sample.memoryBytes),
      memoryLimitBytes: sample.memoryLimitBytes,
      pageCacheBytes: sample.pageCacheBytes,
      pidsMax: Math.max(sums.pidsMax, sample.pids),
      observedMs: sums.observedMs + observedBy(open, sample, rules),
      samples: sums.samples + 1,
    },
    row: open && !isSame ? toRow(open) : null,
  };
}

/**
 * Closes an open minute that is over at `nowMs`. The reading stays, so that the next difference is taken from it.
 *
 * @returns `row: null` while the minute lasts, or when nothing was read in it.
 */
export function closeMinute(
  open: OpenMinute,
  nowMs: number,
  rules: Pick<MinuteRules, 'minuteMs'>,
): { readonly open: OpenMinute; readonly row: MinuteRow | null } {
  const minuteMs = minuteOf(nowMs, rules.minuteMs);
  if (minuteMs <= open.minuteMs) return { open, row: null };
  return { open: { ...open, ...NOTHING_YET, minuteMs }, row: toRow(open) };
}

/** The row of a minute as it stands; `null` when nothing was read in it. */
export function toRow(open: OpenMinute): MinuteRow | null {
  if (open.samples === 0) return null;
  return {
    ...open.used,
    containerId: open.containerId,
    minuteMs: open.minuteMs,
    deploymentId: open.deploymentId,
    replicaId: open.replicaId,
    memoryAverageBytes: Math.round(open.memorySumBytes / open.samples),
    memoryMaxBytes: open.memoryMaxBytes,
    memoryLimitBytes: open.memoryLimitBytes,
    pageCacheBytes: open.pageCacheBytes,
    pidsMax: open.pidsMax,
    observedMs: open.observedMs,
    samples: open.samples,
  };
}

function countedAtFirst(sample: Sample, rules: MinuteRules): ReturnType<typeof countOn> {
  return { used: isMetAtStart(sample, rules) ? sample.counters : NO_COUNTERS, after: countedTo(sample) };
}

/** Whether nothing of this run can have been counted before its first sample. */
function isMetAtStart(sample: Sample, rules: MinuteRules): boolean {
  return sample.startedAtMs >= rules.knownSinceMs;
}

/** The time that a sample stands for, whole milliseconds: never negative, whatever the wall clock does. */
function observedBy(open: OpenMinute | undefined, sample: Sample, rules: MinuteRules): number {
  const sinceStartMs = sample.atMs - sample.startedAtMs;
  if (!open) return isMetAtStart(sample, rules) ? whole(sinceStartMs) : 0;
  if (open.incarnation !== sample.incarnation) return whole(sinceStartMs);
  return whole(open.clockMs === null ? sample.atMs - open.atMs : sample.clockMs - open.clockMs);
}

function whole(ms: number): number {
  return Math.max(0, Math.round(ms));
}

function minuteOf(atMs: number, lengthMs: number): number {
  return Math.floor(atMs / lengthMs) * lengthMs;
}
