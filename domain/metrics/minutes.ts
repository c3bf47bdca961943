import { addCounters, countedSince, NO_COUNTERS } from './counters.ts';
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
  /** Readings in this minute; 0 never happens. */
  readonly samples: number;
}

/** A container's open minute, and the reading from which the next difference is taken. Plain data: it is kept in a file. */
export interface OpenMinute {
  readonly containerId: string;
  readonly deploymentId: string;
  readonly replicaId: string;
  readonly minuteMs: number;
  readonly incarnation: string;
  readonly source: Sample['source'];
  readonly counters: Counters;
  readonly used: Counters;
  readonly memorySumBytes: number;
  readonly memoryMaxBytes: number;
  readonly samples: number;
}

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
  const used = open ? countedSince(open, sample) : countedAtFirst(sample, rules);
  const minuteMs = Math.max(minuteOf(sample.atMs, rules.minuteMs), open?.minuteMs ?? 0);
  const isSame = open?.minuteMs === minuteMs;
  const sums = isSame ? open : undefined;
  return {
    open: {
      containerId: sample.containerId,
      deploymentId: sample.deploymentId,
      replicaId: sample.replicaId,
      minuteMs,
      incarnation: sample.incarnation,
      source: sample.source,
      counters: sample.counters,
      used: addCounters(sums?.used ?? NO_COUNTERS, used),
      memorySumBytes: (sums?.memorySumBytes ?? 0) + sample.memoryBytes,
      memoryMaxBytes: Math.max(sums?.memoryMaxBytes ?? 0, sample.memoryBytes),
      samples: (sums?.samples ?? 0) + 1,
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
  const emptied = { ...open, minuteMs, used: NO_COUNTERS, memorySumBytes: 0, memoryMaxBytes: 0, samples: 0 };
  return { open: emptied, row: toRow(open) };
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
    samples: open.samples,
  };
}

function countedAtFirst(sample: Sample, rules: MinuteRules): Counters {
  return sample.startedAtMs >= rules.knownSinceMs ? sample.counters : NO_COUNTERS;
}

function minuteOf(atMs: number, lengthMs: number): number {
  return Math.floor(atMs / lengthMs) * lengthMs;
}
