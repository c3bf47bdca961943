import type { MetricsDatabase } from '../../adapters/timescale/metrics-database.ts';
import { createMetricsReader } from '../../adapters/timescale/metrics-reader.ts';

/** All minutes of containers, as a reader of these databases sees them. */
export async function readMinutes(...databases: [MetricsDatabase, MetricsDatabase?]) {
  const range = { fromMs: 0, toMs: Date.now() + 60_000 };
  return await createMetricsReader(...databases).listContainerMinutes({}, range);
}

/** How many rows are of a container and a minute that an earlier one is of. */
export function countDoubles(rows: readonly { readonly container_id: string; readonly minute: Date }[]): number {
  return rows.length - new Set(rows.map(({ container_id, minute }) => `${container_id} ${minute.getTime()}`)).size;
}
