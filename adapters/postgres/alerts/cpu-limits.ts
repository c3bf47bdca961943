import type { Database } from '../database.ts';
import { isOneOf } from '../page.ts';

/** Reads how many cores the replicas that serve may use, by `<deployment id>/<replica id>`. */
export async function readCpuLimits(db: Database, deploymentIds: readonly string[]): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom('replicas')
    .select(['deployment_id', 'replica_id', 'cpu_cores'])
    .where(isOneOf('deployment_id', deploymentIds))
    .where('serving', '=', true)
    .execute();
  return new Map(rows.map((row) => [`${row.deployment_id}/${row.replica_id}`, row.cpu_cores]));
}
