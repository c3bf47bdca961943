import { parseReplicaId } from '../../../domain/naming.ts';
import type { Database } from '../database.ts';
import { isOneOf } from '../page.ts';

/** What a node asks about. */
export interface AskedThing {
  /** Docker's full id. */
  readonly id: string;
  /** The deployment; of a network, the deployment or the project. */
  readonly ownerId: string;
  /** Empty for a network. */
  readonly replicaId: string;
}

/**
 * Says which of a node's containers and networks some record owns, by Docker's id.
 *
 * A container is owned by the row of its replica on that node, and by a record that it is to be removed: then its node's
 * workflow does that. A network is by any replica there of its deployment or project. A row is written before anything is
 * made for it, so what has none was left behind.
 */
export async function findOwned(
  db: Database,
  { nodeId, things }: { readonly nodeId: string; readonly things: readonly AskedThing[] },
): Promise<ReadonlySet<string>> {
  const asked = things.map((thing) => ({ ...thing, ownerId: thing.ownerId.toLowerCase() }));
  const ownerIds = [...new Set(asked.map(({ ownerId }) => ownerId))];
  if (ownerIds.length === 0) return new Set();
  const recorded = await db
    .selectFrom('replicas')
    .innerJoin('deployments', 'deployments.id', 'replicas.deployment_id')
    .select(['deployment_id as deploymentId', 'project_id as projectId', 'replica_id as replicaId'])
    .where('node_id', '=', nodeId)
    .where((eb) => eb.or([isOneOf('deployment_id', ownerIds), isOneOf('project_id', ownerIds)]))
    .execute();
  const doomed = await db
    .selectFrom('doomed_replicas')
    .select(['deployment_id as deploymentId', 'project_id as projectId', 'revision', 'index'])
    .where('node_id', '=', nodeId)
    .where((eb) => eb.or([isOneOf('deployment_id', ownerIds), isOneOf('project_id', ownerIds)]))
    .execute();
  const leaving = await db
    .selectFrom('doomed_deployments')
    .select(['deployment_id as deploymentId', 'project_id as projectId'])
    .where('node_id', '=', nodeId)
    .where((eb) => eb.or([isOneOf('deployment_id', ownerIds), isOneOf('project_id', ownerIds)]))
    .execute();
  const owners = new Set([...recorded, ...doomed, ...leaving].flatMap((row) => [row.deploymentId, row.projectId]));
  const replicas = new Set([
    ...recorded.map(({ deploymentId, replicaId }) => `${deploymentId} ${replicaId}`),
    ...doomed.map(({ deploymentId, revision, index }) => `${deploymentId} r${revision}-${index}`),
  ]);
  const isOwned = ({ ownerId, replicaId }: AskedThing): boolean =>
    parseReplicaId(replicaId) === undefined ? owners.has(ownerId) : replicas.has(`${ownerId} ${replicaId}`);
  return new Set(asked.filter(isOwned).map(({ id }) => id));
}
