import { sql } from 'kysely';
import type { RowBatch, RowKind } from '../../domain/metrics/rows.ts';
import type { MetricsDatabase } from './metrics-database.ts';
import { fromRecords, type StoredRecord } from './stored-rows.ts';
import { writeStatement } from './write-rows.ts';

const TABLES: Readonly<Record<RowKind, 'container_metrics' | 'node_metrics' | 'request_metrics'>> = {
  container: 'container_metrics',
  node: 'node_metrics',
  request: 'request_metrics',
};

/** Older ones the metrics database would refuse. */
const OLDEST = sql`now() - interval '49 days'`;

/**
 * Moves rows from the database that stood in to the metrics database, oldest first, one statement of them.
 *
 * They are stored there before they are removed here: killed in between, they are found there the next time and written no
 * second time. So no row is lost, and a reader that knows both sees each of them once.
 *
 * @returns how many rows have left: 0 when none is left.
 */
export async function moveRows(from: MetricsDatabase, to: MetricsDatabase, limit: number): Promise<number> {
  for (const kind of Object.keys(TABLES) as RowKind[]) {
    const moved = await moveKind(from, to, { kind, limit });
    if (moved > 0) return moved;
  }
  return 0;
}

async function moveKind(
  from: MetricsDatabase,
  to: MetricsDatabase,
  { kind, limit }: { kind: RowKind; limit: number },
): Promise<number> {
  const table = sql.id(TABLES[kind]);
  await sql`delete from ${table} where minute < ${OLDEST}`.execute(from);
  const { rows } = await sql<StoredRecord>`
    select s.node_id, s.deployment_id, s.replica_id, s.container_id, m.*
    from ${table} m join metric_series s on s.id = m.series_id
    order by m.minute, m.series_id limit ${limit}`.execute(from);
  const byNode = Map.groupBy(rows, ({ node_id }) => node_id);
  for (const [nodeId, records] of byNode) {
    const batch = { kind, rows: fromRecords(kind, records) } as RowBatch;
    await writeStatement(nodeId, batch).execute(to);
  }
  const keys = sql`unnest(${rows.map(({ series_id }) => series_id)}::integer[], ${rows.map(({ minute }) => minute)}::timestamptz[])`;
  await from.transaction().execute(async (tx) => {
    await sql`delete from ${table} where (series_id, minute) in (select * from ${keys})`.execute(tx);
    if (kind !== 'container') return;
    // What is summed up is summed up there.
    await sql`
      delete from usage_due d where d.series_id = any (${rows.map(({ series_id }) => series_id)}::integer[])
        and not exists (select from container_metrics m where m.series_id = d.series_id
          and m.minute >= d.hour and m.minute < d.hour + interval '1 hour')`.execute(tx);
  });
  return rows.length;
}
