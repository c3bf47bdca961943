import { invalidArgument } from '../errors.ts';
import { MAX_POINTS, type Steps } from './query.ts';

/** What one container used within one step. */
export interface UseRow {
  readonly replicaId: string;
  /** When the step began, milliseconds since 1970. */
  readonly atMs: number;
  /** How much time the counts are of: more than the step when the samples before it were missing. */
  readonly observedMs: number;
  readonly cpuNanos: number;
  readonly cpuThrottledNanos: number;
  readonly memoryAverageBytes: number;
  readonly memoryMaxBytes: number;
  readonly networkReceiveBytes: number;
  readonly networkTransmitBytes: number;
  readonly diskReadBytes: number;
  readonly diskWriteBytes: number;
  /** `null` where it is not kept. */
  readonly pids: number | null;
}

/** How replicas become one value; `none` leaves each by itself. */
export type Aggregation = 'sum' | 'average' | 'maximum' | 'none';

/** The values of a point. Percent is of one core, rates are bytes a second. */
export interface Values {
  readonly cpuPercent: number;
  readonly cpuThrottledPercent: number;
  readonly memoryBytes: number;
  readonly memoryMaxBytes: number;
  readonly networkReceiveRate: number;
  readonly networkTransmitRate: number;
  readonly diskReadRate: number;
  readonly diskWriteRate: number;
  readonly pids: number | null;
}

/** One step of a series; without values it is a gap. */
export interface Point {
  readonly atMs: number;
  /** Replicas that the values are of. */
  readonly replicas: number;
  readonly values: Values | null;
  /** Share of the step that was observed, 0 to 1. */
  readonly observed: number;
}

/** The course of one replica, or with an empty id of all together. */
export interface Series {
  readonly replicaId: string;
  /** One a step, in order. */
  readonly points: readonly Point[];
}

const NANOS_PER_MS = 1_000_000;

const VALUE_NAMES = [
  'cpuPercent',
  'cpuThrottledPercent',
  'memoryBytes',
  'memoryMaxBytes',
  'networkReceiveRate',
  'networkTransmitRate',
  'diskReadRate',
  'diskWriteRate',
  'pids',
] as const satisfies readonly (keyof Values)[];

/** What one replica used within one step, over all of its containers. */
type ReplicaStep = UseRow;

/**
 * Draws the course of rows over even steps. A step of which there is no row is a gap, not 0.
 *
 * A replica by itself, the mean and the maximum show what was used while it was watched. The sum is what all used in the
 * step, divided by its length: two replicas that took turns within a minute add up to one. Where a row stands for more
 * than its step, because samples before it were missing, its counts are spread over that time.
 *
 * @throws INVALID_ARGUMENT when all series together have too many points.
 */
export function drawCourse(rows: readonly UseRow[], steps: Steps, aggregation: Aggregation): readonly Series[] {
  const byReplica = Map.groupBy(rows, ({ replicaId }) => replicaId);
  const series = aggregation === 'none' ? byReplica.size : 1;
  if (series * steps.count > MAX_POINTS) {
    throw invalidArgument(
      'aggregation',
      `${series} replicas at ${steps.count} steps are ${series * steps.count} points`,
      `at most ${MAX_POINTS}: ask for one replica, for a shorter range, or for an aggregation`,
    );
  }
  if (aggregation !== 'none') return [{ replicaId: '', points: pointsOf(joinByStep(rows, steps), steps, aggregation) }];
  return [...byReplica]
    .sort(([one], [other]) => one.localeCompare(other, 'en', { numeric: true }))
    .map(([replicaId, own]) => ({ replicaId, points: pointsOf(joinByStep(own, steps), steps, 'average') }));
}

/** The rows of each step, one a replica. */
function joinByStep(rows: readonly UseRow[], steps: Steps): ReadonlyMap<number, readonly ReplicaStep[]> {
  const joined = new Map<number, Map<string, ReplicaStep>>();
  for (const row of rows) {
    const index = Math.floor((row.atMs - steps.startMs) / steps.stepMs);
    if (index < 0 || index >= steps.count || row.observedMs <= 0) continue;
    const step = joined.get(index) ?? new Map<string, ReplicaStep>();
    joined.set(index, step);
    const known = step.get(row.replicaId);
    step.set(row.replicaId, known ? join(known, row) : row);
  }
  return new Map([...joined].map(([index, step]) => [index, [...step.values()]]));
}

function join(one: ReplicaStep, other: ReplicaStep): ReplicaStep {
  const observedMs = one.observedMs + other.observedMs;
  const memory = one.memoryAverageBytes * one.observedMs + other.memoryAverageBytes * other.observedMs;
  return {
    ...one,
    observedMs,
    cpuNanos: one.cpuNanos + other.cpuNanos,
    cpuThrottledNanos: one.cpuThrottledNanos + other.cpuThrottledNanos,
    memoryAverageBytes: memory / observedMs,
    memoryMaxBytes: Math.max(one.memoryMaxBytes, other.memoryMaxBytes),
    networkReceiveBytes: one.networkReceiveBytes + other.networkReceiveBytes,
    networkTransmitBytes: one.networkTransmitBytes + other.networkTransmitBytes,
    diskReadBytes: one.diskReadBytes + other.diskReadBytes,
    diskWriteBytes: one.diskWriteBytes + other.diskWriteBytes,
    pids: one.pids === null || other.pids === null ? null : Math.max(one.pids, other.pids),
  };
}

function pointsOf(
  byStep: ReadonlyMap<number, readonly ReplicaStep[]>,
  steps: Steps,
  aggregation: Exclude<Aggregation, 'none'>,
): readonly Point[] {
  return Array.from({ length: steps.count }, (_, index) => {
    const atMs = steps.startMs + index * steps.stepMs;
    const replicas = byStep.get(index);
    if (!replicas) return { atMs, replicas: 0, values: null, observed: 0 };
    const observedMs = replicas.reduce((sum, row) => sum + Math.min(row.observedMs, steps.stepMs), 0);
    const values = replicas.map((row) => toValues(row, aggregation === 'sum' ? steps.stepMs : 0));
    const observed = observedMs / (steps.stepMs * replicas.length);
    return { atMs, replicas: replicas.length, values: aggregate(values, aggregation), observed };
  });
}

/** @param leastMs what the counts are divided by at least. */
function toValues(row: ReplicaStep, leastMs: number): Values {
  const overMs = Math.max(row.observedMs, leastMs);
  const share = Math.min(1, leastMs > 0 ? row.observedMs / leastMs : 1);
  const rate = (bytes: number): number => (bytes / overMs) * 1000;
  return {
    cpuPercent: (row.cpuNanos / NANOS_PER_MS / overMs) * 100,
    cpuThrottledPercent: (row.cpuThrottledNanos / NANOS_PER_MS / overMs) * 100,
    memoryBytes: row.memoryAverageBytes * share,
    memoryMaxBytes: row.memoryMaxBytes,
    networkReceiveRate: rate(row.networkReceiveBytes),
    networkTransmitRate: rate(row.networkTransmitBytes),
    diskReadRate: rate(row.diskReadBytes),
    diskWriteRate: rate(row.diskWriteBytes),
    pids: row.pids,
  };
}

function aggregate(replicas: readonly Values[], aggregation: Exclude<Aggregation, 'none'>): Values {
  const combine = (values: readonly number[]): number => {
    if (aggregation === 'maximum') return Math.max(...values);
    const sum = values.reduce((all, one) => all + one, 0);
    return aggregation === 'sum' ? sum : sum / values.length;
  };
  const one = (name: keyof Values): number | null => {
    const values = replicas.map((replica) => replica[name]);
    return values.every((value) => value !== null) ? combine(values) : null;
  };
  return Object.fromEntries(VALUE_NAMES.map((name) => [name, one(name)])) as unknown as Values;
}

/**
 * The value that a share of the points does not exceed, by nearest rank over those that are no gaps; `null` when all are.
 *
 * @param percentile 0 to 100.
 */
export function percentileOf(points: readonly Point[], name: 'cpuPercent' | 'memoryBytes', percentile: number) {
  const values = points.flatMap(({ values: of }) => (of ? [of[name]] : [])).sort((a, b) => a - b);
  return values[Math.max(0, Math.ceil((percentile / 100) * values.length) - 1)] ?? null;
}
