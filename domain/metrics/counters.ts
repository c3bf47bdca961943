import type { Counters, Reading } from './reading.ts';

/** Nothing counted yet. */
export const NO_COUNTERS: Counters = {
  cpuNanos: 0,
  networkReceiveBytes: 0,
  networkTransmitBytes: 0,
  diskReadBytes: 0,
  diskWriteBytes: 0,
};

const NAMES = Object.keys(NO_COUNTERS) as readonly (keyof Counters)[];

const NANOS_PER_MS = 1_000_000;

/** Adds two counts, counter by counter. */
export function addCounters(a: Counters, b: Counters): Counters {
  return combine((name) => a[name] + b[name]);
}

/**
 * What was counted between two readings.
 *
 * After a restart everything that the new run has counted is new. Within a run a counter that fell has been reset by
 * itself (a network interface was replaced), and what it shows now came after that; unless it was read in another way,
 * whose value may only be older.
 */
export function countedSince(
  previous: Pick<Reading, 'incarnation' | 'source' | 'counters'>,
  current: Pick<Reading, 'incarnation' | 'source' | 'counters'>,
): Counters {
  if (previous.incarnation !== current.incarnation) return current.counters;
  const isSameWay = previous.source === current.source;
  return combine((name) => {
    const [before, now] = [previous.counters[name], current.counters[name]];
    if (now >= before) return now - before;
    return isSameWay ? now : 0;
  });
}

/**
 * CPU used between two readings, in percent of one core: 150 is one and a half cores. `null` when they are of different
 * runs or no time has passed, since there is no rate then.
 */
export function cpuPercentBetween(previous: Reading | undefined, current: Reading): number | null {
  if (previous?.incarnation !== current.incarnation || previous.source !== current.source) return null;
  const elapsedMs = current.clockMs - previous.clockMs;
  const usedNanos = current.counters.cpuNanos - previous.counters.cpuNanos;
  return elapsedMs > 0 && usedNanos >= 0 ? (usedNanos / NANOS_PER_MS / elapsedMs) * 100 : null;
}

function combine(value: (name: keyof Counters) => number): Counters {
  return Object.fromEntries(NAMES.map((name) => [name, value(name)])) as unknown as Counters;
}
