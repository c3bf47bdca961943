import { sql } from 'kysely';
import { type MetricsDatabase, openMetricsDatabase } from '../../adapters/timescale/metrics-database.ts';
import { createMetricsReader } from '../../adapters/timescale/metrics-reader.ts';
import { migrateMetrics } from '../../adapters/timescale/migrate.ts';
import { createMetricsUpkeep } from '../../adapters/timescale/upkeep.ts';
import { createEmptyDatabase, startPostgres } from '../support/postgres.ts';

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
    count: async () => {
      const { rows } = await sql<{ count: number }>`select count(*)::int as count from container_metrics`.execute(
        standIn,
      );
      return rows[0]?.count ?? 0;
    },
    see: async () => {
      const found = await createMetricsReader(main, standIn).listContainerMinutes(
        {},
        { fromMs: 0, toMs: Date.now() + 60_000 },
      );
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

/** How many rows are of a container and a minute that an earlier one is of. */
export function countDoubles(rows: readonly { readonly container_id: string; readonly minute: Date }[]): number {
  return rows.length - new Set(rows.map(({ container_id, minute }) => `${container_id} ${minute.getTime()}`)).size;
}
