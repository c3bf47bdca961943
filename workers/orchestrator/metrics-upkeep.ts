import type { z } from 'zod';
import type { Log } from '../../adapters/logging/log.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import { forgetMeteredDeployments, listOwnPeriods } from '../../adapters/postgres/metered-deployments.ts';
import { createTemporalClient, type TemporalAddress } from '../../adapters/temporal/client.ts';
import { ensureMetricsSchedules } from '../../adapters/temporal/metrics-schedules.ts';
import { openMetricsDatabase } from '../../adapters/timescale/metrics-database.ts';
import { createMetricsUpkeep } from '../../adapters/timescale/upkeep.ts';
import type { orchestratorVariables } from '../../config/orchestrator.ts';
import { DEFAULT_UPKEEP_TIMING } from '../../contracts/metrics-upkeep.ts';
import { keepTrying } from './keep-trying.ts';

type Config = z.infer<typeof orchestratorVariables>;

/** What the orchestrator has of the upkeep of metrics. */
export interface OrchestratedUpkeep {
  /** Activities for the control queue. */
  readonly activities: object;
  /** Sees to it, in the background, that its schedules are there. */
  schedule(): void;
  close(): Promise<void>;
}

/** Opens the activities of the upkeep. Without a database of their own, metrics are in the control database. */
export function openMetricsUpkeep(
  config: Config,
  database: Database,
  temporal: TemporalAddress,
  log: Log,
): OrchestratedUpkeep {
  const control = openMetricsDatabase(config.DATABASE_URL);
  const own = config.METRICS_DATABASE_URL;
  const main = own && own !== config.DATABASE_URL ? openMetricsDatabase(own) : undefined;
  const { client, close } = createTemporalClient(temporal);
  const closing = new AbortController();
  let scheduled: Promise<void> | undefined;
  return {
    activities: createMetricsUpkeep({
      ...(main ? { main, standIn: control } : { main: control }),
      readPeriods: async () => ({
        minutesMs: config.METRICS_MINUTES_RETENTION,
        hoursMs: config.METRICS_HOURS_RETENTION,
        own: await listOwnPeriods(database),
      }),
      forgetDeployments: () => forgetMeteredDeployments(database),
      now: Date.now,
    }),
    schedule: () => {
      scheduled ??= keepTrying(() => ensureMetricsSchedules(client, { timing: DEFAULT_UPKEEP_TIMING }), {
        ...{ what: 'the schedules of the upkeep of metrics', log, signal: closing.signal },
      });
    },
    close: async () => {
      closing.abort();
      await close();
      await scheduled;
      await Promise.all([control.destroy(), main?.destroy()]);
    },
  };
}
