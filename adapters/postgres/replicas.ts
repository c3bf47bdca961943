import { toTime } from './columns.ts';
import type { Database } from './database.ts';
import { isOneOf } from './page.ts';
import type { ReplicaState } from './schema.ts';

/** As much of a replica as a status needs. */
export interface ReplicaStanding {
  readonly service: string;
  /** Stable for its life, for example `r3-0`. */
  readonly replicaId: string;
  readonly revision: number;
  readonly state: ReplicaState;
  /** Why it is unhealthy; empty otherwise. */
  readonly healthReason: string;
  /** Of its last exit; `null` while none is known. */
  readonly exitCode: number | null;
  readonly outOfMemory: boolean;
  /** Restarts of its container in all. */
  readonly restarts: number;
  /** `null` while it runs, and when it is not to be restarted. */
  readonly nextRestartAt: Date | null;
  /** Whether its container was removed by somebody else than the platform. */
  readonly gone: boolean;
}

/** The columns of a {@link ReplicaStanding}, of the table or of JSON. */
export const STANDING_COLUMNS = [
  'replicas.service',
  'replicas.replica_id as replicaId',
  'replicas.revision',
  'replicas.state',
  'replicas.health_reason as healthReason',
  'replicas.exit_code as exitCode',
  'replicas.out_of_memory as outOfMemory',
  'replicas.restarts',
  'replicas.next_restart_at as nextRestartAt',
  'replicas.gone',
] as const;

/** A replica: where it runs and what it is. */
export interface ReplicaRecord extends ReplicaStanding {
  readonly index: number;
  readonly nodeId: string;
  /** `null` before its container was seen. */
  readonly containerId: string | null;
  /** Whether the routes send requests to it. */
  readonly serving: boolean;
  readonly address: { readonly host: string; readonly port: number } | null;
  readonly imageDigest: string | null;
  readonly startedAt: Date | null;
}

/** The columns of a {@link ReplicaRecord}, of the table or of JSON. */
export const REPLICA_COLUMNS = [
  ...STANDING_COLUMNS,
  'replicas.index',
  'replicas.node_id as nodeId',
  'replicas.container_id as containerId',
  'replicas.serving',
  'replicas.address_host as host',
  'replicas.address_port as port',
  'replicas.image_digest as imageDigest',
  'replicas.started_at as startedAt',
] as const;

/** The replicas of each of the deployments, by revision and index. */
export async function listReplicas(
  db: Database,
  deploymentIds: readonly string[],
): Promise<Map<string, ReplicaRecord[]>> {
  if (deploymentIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('replicas')
    .select(['deployment_id as deploymentId', ...REPLICA_COLUMNS])
    .where(isOneOf('deployment_id', deploymentIds))
    .orderBy('revision')
    .orderBy('index')
    .execute();
  const byDeployment = Map.groupBy(rows, (row) => row.deploymentId);
  return new Map(
    [...byDeployment].map(([id, group]) => [id, group.map(({ deploymentId: _, ...row }) => toReplicaRecord(row))]),
  );
}

/** A row of a table, or of JSON, where times are text. */
type StandingRow = Omit<ReplicaStanding, 'nextRestartAt'> & { readonly nextRestartAt: Date | string | null };
type ReplicaRow = Omit<ReplicaRecord, 'nextRestartAt' | 'startedAt' | 'address'> &
  StandingRow & {
    readonly startedAt: Date | string | null;
    readonly host: string | null;
    readonly port: number | null;
  };

/** Makes a record of a row. */
export function toReplicaRecord({ host, port, ...row }: ReplicaRow): ReplicaRecord {
  const address = host !== null && port !== null ? { host, port } : null;
  return { ...row, ...toStanding(row), startedAt: toTime(row.startedAt), address };
}

/** Makes what a status needs of a row. */
export function toStanding<Row extends StandingRow>(row: Row): Row & { readonly nextRestartAt: Date | null } {
  return { ...row, nextRestartAt: toTime(row.nextRestartAt) };
}
