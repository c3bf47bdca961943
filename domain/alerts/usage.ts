/** What a replica used in a minute. Whole numbers. */
export interface UsedMinute {
  readonly deploymentId: string;
  readonly replicaId: string;
  readonly cpuNanos: number;
  readonly observedMs: number;
  readonly memoryAverageBytes: number;
  /** 0 is no limit. */
  readonly memoryLimitBytes: number;
}

/** How a deployment's requests were answered in a minute. */
export interface AnsweredMinute {
  readonly deploymentId: string;
  readonly requests: number;
  readonly serverErrors: number;
}

/** Requests in five minutes below which a few errors say nothing. */
export const FEWEST_REQUESTS = 20;

/** What was measured of a deployment, in percent; `null` for what is not known. */
export interface UsagePercent {
  readonly cpuPercent: number | null;
  readonly memoryPercent: number | null;
  readonly serverErrorPercent: number | null;
}

/**
 * Sums up what deployments used of late. Of replicas the one counts that uses most of what it may; one whose limit is not
 * known is left out. Few requests of which some failed say nothing; few of which none did say that.
 *
 * @param cpuLimits cores by `<deployment id>/<replica id>`.
 */
export function usageOf(
  used: readonly UsedMinute[],
  answered: readonly AnsweredMinute[],
  cpuLimits: ReadonlyMap<string, number>,
): Map<string, UsagePercent> {
  const usage = new Map<string, UsagePercent>();
  const nothing: UsagePercent = { cpuPercent: null, memoryPercent: null, serverErrorPercent: null };
  for (const [key, minutes] of Map.groupBy(used, ({ deploymentId, replicaId }) => `${deploymentId}/${replicaId}`)) {
    const [deploymentId = ''] = key.split('/');
    const before = usage.get(deploymentId) ?? nothing;
    usage.set(deploymentId, {
      ...before,
      cpuPercent: larger(before.cpuPercent, cpuPercentOf(minutes, cpuLimits.get(key))),
      memoryPercent: larger(before.memoryPercent, memoryPercentOf(minutes)),
    });
  }
  for (const [deploymentId, minutes] of Map.groupBy(answered, (minute) => minute.deploymentId)) {
    usage.set(deploymentId, { ...(usage.get(deploymentId) ?? nothing), serverErrorPercent: errorPercentOf(minutes) });
  }
  return usage;
}

function cpuPercentOf(minutes: readonly UsedMinute[], cores: number | undefined): number | null {
  const observedMs = sumOf(minutes, ({ observedMs: ms }) => ms);
  if (cores === undefined || cores <= 0 || observedMs <= 0) return null;
  return (100 * sumOf(minutes, ({ cpuNanos }) => cpuNanos)) / (observedMs * 1e6 * cores);
}

/** Averages over the minutes; the newest would do too, but a replica that was just started has not filled its memory. */
function memoryPercentOf(minutes: readonly UsedMinute[]): number | null {
  const limited = minutes.filter(({ memoryLimitBytes }) => memoryLimitBytes > 0);
  if (limited.length === 0) return null;
  return sumOf(limited, (one) => (100 * one.memoryAverageBytes) / one.memoryLimitBytes) / limited.length;
}

function errorPercentOf(minutes: readonly AnsweredMinute[]): number | null {
  const requests = sumOf(minutes, (minute) => minute.requests);
  const errors = sumOf(minutes, ({ serverErrors }) => serverErrors);
  if (requests > 0 && errors === 0) return 0;
  return requests < FEWEST_REQUESTS ? null : (100 * errors) / requests;
}

function sumOf<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + of(item), 0);
}

function larger(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.max(one, other);
}
