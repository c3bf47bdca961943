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

/** The columns of a {@link ReplicaStanding}. */
const STANDING = [
  'service',
  'replica_id as replicaId',
  'revision',
  'state',
  'exit_code as exitCode',
  'out_of_memory as outOfMemory',
  'restarts',
  'next_restart_at as nextRestartAt',
  'gone',
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

/** The replicas of each of the deployments, by revision and index. */
export async function listReplicas(
  db: Database,
  deploymentIds: readonly string[],
): Promise<Map<string, ReplicaRecord[]>> {
  if (deploymentIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('replicas')
    .select([
      'deployment_id as deploymentId',
      ...STANDING,
      'index',
      'node_id as nodeId',
      'container_id as containerId',
      'serving',
      'address_host as host',
      'address_port as port',
      'image_digest as imageDigest',
      'started_at as startedAt',
    ])
    .where(isOneOf('deployment_id', deploymentIds))
    .orderBy('revision')
    .orderBy('index')
    .execute();
  const byDeployment = Map.groupBy(rows, (row) => row.deploymentId);
  return new Map([...byDeployment].map(([id, group]) => [id, group.map(toRecord)]));
}

function toRecord({
  deploymentId: _,
  host,
  port,
  ...row
}: Omit<ReplicaRecord, 'address'> & { deploymentId: string; host: string | null; port: number | null }): ReplicaRecord {
  return { ...row, address: host !== null && port !== null ? { host, port } : null };
}

/** The same for lists: what a status needs and nothing more. */
export async function listReplicaStandings(
  db: Database,
  deploymentIds: readonly string[],
): Promise<Map<string, ReplicaStanding[]>> {
  if (deploymentIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('replicas')
    .select(['deployment_id as deploymentId', ...STANDING])
    .where(isOneOf('deployment_id', deploymentIds))
    .orderBy('revision')
    .orderBy('index')
    .execute();
  const byDeployment = Map.groupBy(rows, (row) => row.deploymentId);
  return new Map(
    [...byDeployment].map(([id, group]) => [id, group.map(({ deploymentId: _, ...standing }) => standing)]),
  );
}
