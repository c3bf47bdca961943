import type { UseRow } from './course.ts';

/** A live reading: what has been counted since the start of a run. */
export interface LiveReading {
  readonly replicaId: string;
  readonly containerId: string;
  readonly atMs: number;
  readonly startedAtMs: number;
  readonly cpuNanos: number;
  readonly cpuThrottledNanos: number;
  readonly memoryBytes: number;
  readonly networkReceiveBytes: number;
  readonly networkTransmitBytes: number;
  readonly diskReadBytes: number;
  readonly diskWriteBytes: number;
  readonly pids: number;
}

const COUNTED = [
  'cpuNanos',
  'cpuThrottledNanos',
  'networkReceiveBytes',
  'networkTransmitBytes',
  'diskReadBytes',
  'diskWriteBytes',
] as const satisfies readonly (keyof LiveReading)[];

/**
 * What was used between live readings: a row for each but the first of a run, in the step of the later one. Between two
 * runs, or where a counter fell, there is no row.
 *
 * Rounds do not begin at even moments, and come a little early or late: each is counted to the step nearest to it in the
 * rhythm of its container, so that none falls into its neighbour's.
 */
export function toUseRows(readings: readonly LiveReading[], stepMs: number): readonly UseRow[] {
  return [...Map.groupBy(readings, ({ containerId }) => containerId).values()].flatMap((own) => {
    const sorted = own.toSorted((one, other) => one.atMs - other.atMs);
    const phaseMs = (sorted.at(-1)?.atMs ?? 0) % stepMs;
    const stepOf = (atMs: number): number => Math.round((atMs - phaseMs) / stepMs) * stepMs;
    return sorted.slice(1).flatMap((now, index) => {
      const before = sorted[index];
      return before ? toUseRow(before, now, stepOf(now.atMs)) : [];
    });
  });
}

function toUseRow(before: LiveReading, now: LiveReading, atMs: number): UseRow[] {
  const observedMs = now.atMs - before.atMs;
  const counted = COUNTED.map((name) => [name, now[name] - before[name]] as const);
  const isOneRun = before.startedAtMs === now.startedAtMs && counted.every(([, value]) => value >= 0);
  if (!isOneRun || observedMs <= 0) return [];
  return [
    {
      replicaId: now.replicaId,
      atMs,
      observedMs,
      ...(Object.fromEntries(counted) as Record<(typeof COUNTED)[number], number>),
      memoryAverageBytes: now.memoryBytes,
      memoryMaxBytes: now.memoryBytes,
      pids: now.pids,
    },
  ];
}
