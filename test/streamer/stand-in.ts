import { type MetricsDatabase, openMetricsDatabase } from '../../adapters/timescale/metrics-database.ts';
import { migrateMetrics } from '../../adapters/timescale/migrate.ts';
import { createMetricsUpkeep } from '../../adapters/timescale/upkeep.ts';
import { createEmptyDatabase, startPostgres } from '../support/postgres.ts';
import { countDoubles, readMinutes } from './stored-minutes.ts';

/** A real database on a server of its own, which stands in while the metrics database is away. */
export interface StandIn {
  readonly url: string;
  /** Rows of containers that lie in it. */
  count(): Promise<number>;
  /** What a reader that knows both databases sees: rows of containers, and how many of them it sees twice. */
  see(): Promise<{ readonly rows: number; readonly doubled: number }>;
  /** Does what the orchestrator's schedule does until nothing is left to be moved. */
  moveAll(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts one beside a metrics database. */
export async function startStandIn(main: MetricsDatabase): Promise<StandIn> {
  const server = await startPostgres();
  const { url } = await createEmptyDatabase(server.adminUrl);
  const standIn = openMetricsDatabase(url);
  await migrateMetrics(standIn, { timescale: false });
  const upkeep = createMetricsUpkeep({
    ...{ main, standIn, now: Date.now },
    readPeriods: () => Promise.reject(new Error('nothing is removed here')),
    forgetDeployments: () => Promise.reject(new Error('nothing is removed here')),
  });
  return {
    url,
    count: async () => (await readMinutes(standIn)).length,
    see: async () => {
      const found = await readMinutes(main, standIn);
      return { rows: found.length, doubled: countDoubles(found) };
    },
    moveAll: async () => {
      while ((await upkeep.moveMetrics()).hasMore);
    },
    stop: async () => {
      await standIn.destroy();
      await server.stop();
    },
  };
}
