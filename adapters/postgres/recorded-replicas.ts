import type { OperationRef } from '../../contracts/activities.ts';
import type { ExistingReplica } from '../../contracts/rollout.ts';
import type { DatabaseTransaction } from './database.ts';

/** A replica with whether its container was removed by somebody else. */
export type RecordedReplica = ExistingReplica & { readonly gone: boolean };

/** Lists all replicas of a deployment as an operation finds them. */
export async function listRecorded(
  tx: DatabaseTransaction,
  { deploymentId, operationId }: OperationRef,
): Promise<RecordedReplica[]> {
  const rows = await tx
    .selectFrom('replicas')
    .innerJoin('nodes', 'nodes.id', 'replicas.node_id')
    .select(['replica_id as replicaId', 'service', 'revision', 'index', 'node_id as nodeId', 'serving'])
    .select([
      'replicas.gone',
      'replicas.state',
      'container_id as containerId',
      'drained_by as drainedBy',
      'nodes.state as nodeState',
    ])
    .where('deployment_id', '=', deploymentId)
    .orderBy('revision')
    .orderBy('index')
    .execute();
  return rows.map(({ state, containerId, drainedBy, nodeState, ...row }) => ({
    ...row,
    nodeLost: nodeState === 'lost',
    healthy: state === 'healthy' || state === 'removing',
    resumable: containerId !== null && drainedBy === operationId,
  }));
}
