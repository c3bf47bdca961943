/** What one replica uses, as it was read at one moment. */
export interface ReplicaUse {
  readonly replicaId: string;
  /** Of one container of the replica: another one counts from zero. */
  readonly containerId: string;
  readonly atMs: number;
  /** When this run of the container began: another one counts from zero. */
  readonly startedAtMs: number;
  /** In percent of one core; `null` while it has no value. */
  readonly cpuPercent: number | null;
  readonly memoryBytes: number;
  /** 0 when there is no limit. */
  readonly memoryLimitBytes: number;
  readonly pids: number;
  /** Counted since the start of the run. */
  readonly networkReceiveBytes: number;
  readonly networkTransmitBytes: number;
  readonly diskReadBytes: number;
  readonly diskWriteBytes: number;
}

/** What all replicas of a deployment use together at one tick. */
export interface Totals {
  /** Replicas in the sums. */
  readonly replicas: number;
  /** Replicas that ought to be in the sums, and have no reading of this tick. */
  readonly missingReplicaIds: readonly string[];
  readonly cpuPercent: number | null;
  readonly memoryBytes: number;
  /** 0 when one of the replicas has no limit. */
  readonly memoryLimitBytes: number;
  readonly pids: number;
  /** Bytes a second. */
  readonly networkReceiveRate: number | null;
  readonly networkTransmitRate: number | null;
  readonly diskReadRate: number | null;
  readonly diskWriteRate: number | null;
}

type Counter = 'networkReceiveBytes' | 'networkTransmitBytes' | 'diskReadBytes' | 'diskWriteBytes';

/**
 * Adds up what replicas use at one tick.
 *
 * Nothing is guessed: a replica without a reading of this tick is named and not in the sums, and a rate of which one
 * replica has no value is no number. Of a replica that was read twice, the newest reading counts.
 *
 * @param previous the reading before, by container: rates are between it and this one.
 * @param expected replicas that run, as far as is known.
 */
export function totalsOf(
  uses: readonly ReplicaUse[],
  previous: ReadonlyMap<string, ReplicaUse>,
  expected: readonly string[],
): Totals {
  const newest = new Map<string, ReplicaUse>();
  for (const use of uses) {
    const known = newest.get(use.replicaId);
    if (!known || use.atMs >= known.atMs) newest.set(use.replicaId, use);
  }
  const counted = [...newest.values()];
  const rate = (counter: Counter) => sumOf(counted, (use) => rateOf(previous.get(use.containerId), use, counter));
  const hasLimits = counted.every(({ memoryLimitBytes }) => memoryLimitBytes > 0);
  return {
    replicas: counted.length,
    missingReplicaIds: [...new Set(expected)].filter((id) => !newest.has(id)).sort(),
    cpuPercent: sumOf(counted, ({ cpuPercent }) => cpuPercent),
    memoryBytes: counted.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
    memoryLimitBytes: hasLimits ? counted.reduce((sum, { memoryLimitBytes }) => sum + memoryLimitBytes, 0) : 0,
    pids: counted.reduce((sum, { pids }) => sum + pids, 0),
    networkReceiveRate: rate('networkReceiveBytes'),
    networkTransmitRate: rate('networkTransmitBytes'),
    diskReadRate: rate('diskReadBytes'),
    diskWriteRate: rate('diskWriteBytes'),
  };
}

/** What a counter rose by a second between two readings of one run; `null` when there is no such span. */
function rateOf(before: ReplicaUse | undefined, now: ReplicaUse, counter: Counter): number | null {
  if (!before || before.startedAtMs !== now.startedAtMs) return null;
  const [passedMs, counted] = [now.atMs - before.atMs, now[counter] - before[counter]];
  return passedMs > 0 && counted >= 0 ? (counted / passedMs) * 1000 : null;
}

function sumOf(uses: readonly ReplicaUse[], value: (use: ReplicaUse) => number | null): number | null {
  let sum = 0;
  for (const use of uses) {
    const one = value(use);
    if (one === null) return null;
    sum += one;
  }
  return uses.length > 0 ? sum : null;
}
