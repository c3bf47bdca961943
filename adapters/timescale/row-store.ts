import { sql } from 'kysely';
import type { MinuteRow } from '../../domain/metrics/minutes.ts';
import type { RowStore } from '../../streamer/ports.ts';
import { asDatabaseError } from '../postgres/errors.ts';
import type { MetricsDatabase, MetricsSchema } from './metrics-database.ts';
import { migrateMetrics } from './migrate.ts';

/**
 * Creates the store of one node's minute rows.
 *
 * The tables are made at the first write if they are missing and the role may make them; a role that can only insert
 * finds them there. The insert names no conflicting columns, because looking at them would need the right to read.
 *
 * @param nodeId tells this node's id, which exists before the first row.
 */
export function createRowStore(db: MetricsDatabase, nodeId: () => string): RowStore {
  let isPrepared = false;

  const prepare = async (): Promise<void> => {
    if (isPrepared) return;
    const { rows } = await sql<{ found: boolean }>`
      select to_regclass('container_metrics') is not null as found
    `.execute(db);
    if (!rows[0]?.found) await migrateMetrics(db);
    isPrepared = true;
  };

  return {
    insertRows: async (rows) => {
      if (rows.length === 0) return;
      try {
        await prepare();
        await db
          .insertInto('container_metrics')
          .values(rows.map((row) => toRecord(row, nodeId())))
          .onConflict((conflict) => conflict.doNothing())
          .execute();
      } catch (error) {
        throw asDatabaseError(error);
      }
    },
  };
}

function toRecord(row: MinuteRow, nodeId: string): MetricsSchema['container_metrics'] {
  return {
    container_id: row.containerId,
    minute: new Date(row.minuteMs),
    deployment_id: row.deploymentId,
    replica_id: row.replicaId,
    node_id: nodeId,
    cpu_nanos: row.cpuNanos,
    memory_average_bytes: row.memoryAverageBytes,
    memory_max_bytes: row.memoryMaxBytes,
    network_receive_bytes: row.networkReceiveBytes,
    network_transmit_bytes: row.networkTransmitBytes,
    disk_read_bytes: row.diskReadBytes,
    disk_write_bytes: row.diskWriteBytes,
    samples: row.samples,
  };
}
