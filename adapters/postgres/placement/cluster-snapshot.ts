import type { ModelNode, ModelReplica } from '../../../domain/placement/cluster-model.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import { readinessOf } from './placement-nodes.ts';

/** Reads several things as they were at one moment. */
export async function inSnapshot<T>(db: Database, read: (tx: DatabaseTransaction) => Promise<T>): Promise<T> {
  return await db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only').execute(read);
}

/** All nodes, for a model of the cluster: one that is incomplete would answer wrongly. */
export async function readModelNodes(tx: DatabaseTransaction): Promise<ModelNode[]> {
  const nodes = await tx
    .selectFrom('nodes')
    .select(['id as nodeId', 'hostname', 'state', 'architecture', 'labels', 'cordoned'])
    .select(['disk_level as diskLevel', 'disk_notice as diskNotice'])
    .select(['cpu_cores as cpuCores', 'memory_bytes as memoryBytes'])
    .execute();
  return nodes.map(({ state, cordoned, diskLevel, diskNotice, ...node }) => ({
    ...node,
    ...readinessOf({ state, cordoned, diskLevel, diskNotice }),
  }));
}

/** All that is reserved on them. */
export async function readModelReplicas(tx: DatabaseTransaction): Promise<ModelReplica[]> {
  return await tx
    .selectFrom('replicas')
    .select(['deployment_id as deploymentId', 'service', 'node_id as nodeId'])
    .select(['cpu_cores as cpuCores', 'memory_bytes as memoryBytes'])
    .execute();
}
