import type { RowBatch, RowKind } from '../../domain/metrics/rows.ts';

/** A row with whose it is, as the driver gives it: columns of 64 bits are text. */
export interface StoredRecord {
  readonly series_id: number;
  readonly minute: Date;
  readonly node_id: string;
  readonly deployment_id: string;
  readonly replica_id: string;
  readonly container_id: string;
  readonly [column: string]: unknown;
}

/** Makes rows of what a database gave: the other way round than `write-rows`. */
export function fromRecords(kind: RowKind, records: readonly StoredRecord[]): RowBatch['rows'] {
  return records.map((record) => {
    const { series_id: _, minute, node_id, deployment_id, replica_id, container_id, ...counted } = record;
    const numbers = Object.entries(counted).map(([column, value]) => [toField(column), toNumbers(value)]);
    return { ...Object.fromEntries(numbers), minuteMs: minute.getTime(), ...whose(kind, record) };
  }) as unknown as RowBatch['rows'];
}

function whose(kind: RowKind, { node_id, deployment_id, replica_id, container_id }: StoredRecord) {
  if (kind === 'node') return { nodeId: node_id };
  if (kind === 'request') return { nodeId: node_id, deploymentId: deployment_id };
  return { deploymentId: deployment_id, replicaId: replica_id, containerId: container_id };
}

/** `cpu_user_nanos` is `cpuUserNanos`, `status_2xx` is `status2xx`. */
function toField(column: string): string {
  return column.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** Counters end at 2^53, where they were made. */
function toNumbers(value: unknown): number | number[] | null {
  if (value === null) return null;
  return Array.isArray(value) ? value.map(Number) : Number(value);
}
