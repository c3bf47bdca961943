import type { Counters, Reading } from './reading.ts';

/** Nothing counted yet. */
export const NO_COUNTERS: Counters = {
  cpuNanos: 0,
  cpuUserNanos: 0,
  cpuSystemNanos: 0,
  cpuThrottledNanos: 0,
  networkReceiveBytes: 0,
  networkTransmitBytes: 0,
  networkReceivePackets: 0,
  networkTransmitPackets: 0,
  diskReadBytes: 0,
  diskWriteBytes: 0,
  diskReadOperations: 0,
  diskWriteOperations: 0,
  oomKills: 0,
};

/** The names of all counters. */
export const COUNTER_NAMES = Object.keys(NO_COUNTERS) as readonly (keyof Counters)[];

const NANOS_PER_MS = 1_000_000;

/** Adds two counts, counter by counter. */
export function addCounters(a: Counters, b: Counters): Counters {
  return combine((name) => a[name] + b[name]);
}

/** Up to where a container's counters have been counted, as far as the next difference needs it. Plain data. */
export interface CountedTo {
  /** The run that the levels belong to. */
  readonly incarnation: string;
  /** The way of the newest reading. */
  readonly source: Reading['source'];
  /**
   * The level of each counter up to which everything has been counted. One that is missing was not kept yet: it counts
   * from the next reading on.
   */
  readonly counters: Partial<Counters>;
  /** What the newest reading showed. It is below the level while another way shows an older value than the one before. */
  readonly seen: Partial<Counters>;
}

/**
 * What a reading adds to what has been counted, and up to where that is then.
 *
 * After a restart everything that the new run has counted is new. Within a run nothing is added until a counter shows
 * more than has been counted: one that shows less was read in another way, whose value may be older (Docker answers with
 * what its collector read up to two seconds ago), or the kernel rounded it. Only network counters can begin anew within
 * a run, when an interface goes that nobody here had seen; they count on from what they show.
 */
export function countOn(
  before: CountedTo,
  reading: Pick<Reading, 'incarnation' | 'source' | 'counters'>,
): { readonly used: Counters; readonly after: CountedTo } {
  const { incarnation, source, counters } = reading;
  if (before.incarnation !== incarnation) return { used: counters, after: countedTo(reading) };
  const isSameWay = before.source === source;
  const beginsAnew = (name: keyof Counters): boolean =>
    isSameWay && name.startsWith('network') && counters[name] < (before.seen[name] ?? 0);
  const level = (name: keyof Counters): number =>
    beginsAnew(name) ? counters[name] : Math.max(before.counters[name] ?? 0, counters[name]);
  const used = (name: keyof Counters): number =>
    Math.max(0, counters[name] - (before.counters[name] ?? counters[name]));
  return { used: combine(used), after: { incarnation, source, counters: combine(level), seen: counters } };
}

/** Everything up to a reading has been counted. */
export function countedTo({
  incarnation,
  source,
  counters,
}: Pick<Reading, 'incarnation' | 'source' | 'counters'>): CountedTo {
  return { incarnation, source, counters, seen: counters };
}

/** What was counted between two readings, taken by themselves. */
export function countedSince(
  previous: Pick<Reading, 'incarnation' | 'source' | 'counters'>,
  current: Pick<Reading, 'incarnation' | 'source' | 'counters'>,
): Counters {
  return countOn(countedTo(previous), current).used;
}

type CpuReading = Pick<Reading, 'incarnation' | 'source' | 'clockMs' | 'counters'>;

/**
 * CPU used between two readings, in percent of one core: 150 is one and a half cores. `null` when they are of different
 * runs or no time has passed, since there is no rate then.
 */
export function cpuPercentBetween(previous: CpuReading | undefined, current: CpuReading): number | null {
  if (previous?.incarnation !== current.incarnation || previous.source !== current.source) return null;
  const elapsedMs = current.clockMs - previous.clockMs;
  const usedNanos = current.counters.cpuNanos - previous.counters.cpuNanos;
  return elapsedMs > 0 && usedNanos >= 0 ? (usedNanos / NANOS_PER_MS / elapsedMs) * 100 : null;
}

function combine(value: (name: keyof Counters) => number): Counters {
  const combined: { -readonly [Name in keyof Counters]: number } = { ...NO_COUNTERS };
  for (const name of COUNTER_NAMES) combined[name] = value(name);
  return combined;
}
