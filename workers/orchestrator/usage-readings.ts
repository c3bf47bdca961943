import type { UsageReadings } from '../../activities/evaluate-alerts.ts';
import { readCpuLimits } from '../../adapters/postgres/alerts/cpu-limits.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import type { MetricsReader } from '../../adapters/timescale/metrics-reader.ts';
import { usageOf } from '../../domain/alerts/usage.ts';

/** A minute is stored when it has ended; one more is given to the way there. */
const USED_MS = 4 * 60_000;

const ANSWERED_MS = 6 * 60_000;

/** Creates the readings of what deployments used of late, in percent of what they may. */
export function createUsageReadings(
  db: Database,
  reader: Pick<MetricsReader, 'listContainerMinutes' | 'listRequestMinutes'>,
  now: () => number = Date.now,
): UsageReadings {
  return {
    read: async (ids) => {
      if (ids.length === 0) return new Map();
      const [toMs, filter] = [now(), { deploymentIds: ids }];
      const [limits, used, answered] = await Promise.all([
        readCpuLimits(db, ids),
        reader.listContainerMinutes(filter, { fromMs: toMs - USED_MS, toMs }),
        reader.listRequestMinutes(filter, { fromMs: toMs - ANSWERED_MS, toMs }),
      ]);
      const minutes = used.filter((row) => limits.has(`${row.deployment_id}/${row.replica_id}`));
      return usageOf(
        minutes.map((row) => ({
          ...{ deploymentId: row.deployment_id, replicaId: row.replica_id, cpuNanos: Number(row.cpu_nanos) },
          ...{ observedMs: Number(row.observed_ms), memoryAverageBytes: Number(row.memory_average_bytes) },
          memoryLimitBytes: Number(row.memory_limit_bytes),
        })),
        answered.map((row) => ({
          ...{ deploymentId: row.deployment_id, requests: Number(row.requests), serverErrors: Number(row.status_5xx) },
        })),
        limits,
      );
    },
  };
}
