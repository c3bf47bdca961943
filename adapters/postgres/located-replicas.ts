import { type SqlBool, sql } from 'kysely';
import type { NodeLabels } from '../../domain/node-labels.ts';
import type { Database } from './database.ts';
import { DRAINING } from './nodes.ts';
import { isOneOf } from './page.ts';
import { REPLICA_COLUMNS, type ReplicaRecord, toReplicaRecord } from './replicas.ts';
import type { ReplicaState } from './schema.ts';
import type { NodeState } from './schema-nodes.ts';

/** A replica with its deployment and its node, as of one moment. */
export interface LocatedReplica extends ReplicaRecord {
  readonly deploymentId: string;
  readonly deploymentName: string;
  readonly projectId: string;
  readonly organizationId: string;
  readonly nodeHostname: string;
  readonly nodeState: NodeState;
  readonly nodeCordoned: boolean;
  readonly nodeDraining: boolean;
  readonly nodeLabels: NodeLabels;
  readonly stateSince: Date;
}

/** Which replicas: those that match everything that is set. */
export interface ReplicaFilter {
  /** `null` for those of all organizations. */
  readonly organizationId: string | null;
  readonly deploymentId?: string | undefined;
  readonly nodeId?: string | undefined;
  /** Those of the service that answers at this hostname. */
  readonly hostname?: string | undefined;
  readonly state?: ReplicaState | undefined;
}

/** A part of the list, which is ordered by deployment and replica id. */
export interface LocatedPage {
  readonly limit: number;
  /** `undefined` for the first page. */
  readonly after?: { readonly deploymentId: string; readonly replicaId: string } | undefined;
  /** Only replicas of these deployments. */
  readonly among?: readonly string[] | undefined;
}

/** Lists where replicas are, by deployment and replica id. */
export async function listLocatedReplicas(
  db: Database,
  filter: ReplicaFilter,
  { limit, after, among }: LocatedPage,
): Promise<LocatedReplica[]> {
  const rows = await select(db, filter)
    .$if(after !== undefined, (query) => query.where(isBehind(after ?? { deploymentId: '', replicaId: '' })))
    .$if(among !== undefined, (query) => query.where(isOneOf('replicas.deployment_id', among ?? [])))
    .orderBy('replicas.deployment_id')
    .orderBy('replicas.replica_id')
    .limit(limit)
    .execute();
  return rows.map((row) => ({ ...row, ...toReplicaRecord(row) }));
}

function select(db: Database, { organizationId, deploymentId, nodeId, hostname, state }: ReplicaFilter) {
  return db
    .selectFrom('replicas')
    .innerJoin('deployments', 'deployments.id', 'replicas.deployment_id')
    .innerJoin('nodes', 'nodes.id', 'replicas.node_id')
    .select(REPLICA_COLUMNS)
    .select([
      'replicas.deployment_id as deploymentId',
      'deployments.name as deploymentName',
      'deployments.project_id as projectId',
      'deployments.organization_id as organizationId',
      'nodes.hostname as nodeHostname',
      'nodes.state as nodeState',
      'nodes.cordoned as nodeCordoned',
      DRAINING.as('nodeDraining'),
      'nodes.labels as nodeLabels',
      'replicas.state_since as stateSince',
    ])
    .$if(organizationId !== null, (query) => query.where('deployments.organization_id', '=', organizationId ?? ''))
    .$if(deploymentId !== undefined, (query) => query.where('replicas.deployment_id', '=', deploymentId ?? ''))
    .$if(nodeId !== undefined, (query) => query.where('replicas.node_id', '=', nodeId ?? ''))
    .$if(state !== undefined, (query) => query.where('replicas.state', '=', state ?? 'healthy'))
    .$if(hostname !== undefined, (query) =>
      query.where((eb) =>
        eb.exists(
          eb
            .selectFrom('routes')
            .select('routes.id')
            .where('routes.hostname', '=', hostname ?? '')
            .whereRef('routes.deployment_id', '=', 'replicas.deployment_id')
            .whereRef('routes.service', '=', 'replicas.service'),
        ),
      ),
    );
}

function isBehind({ deploymentId, replicaId }: NonNullable<LocatedPage['after']>) {
  const [deployment, replica] = [sql.ref('replicas.deployment_id'), sql.ref('replicas.replica_id')];
  return sql<SqlBool>`(${deployment}, ${replica}) > (${deploymentId}::uuid, ${replicaId}::text)`;
}
