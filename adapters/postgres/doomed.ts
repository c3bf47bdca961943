import { sql } from 'kysely';
import type { DoomedOnNode } from '../../contracts/activities.ts';
import type { DoomedReplica } from '../../contracts/rollout.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { isOneOfTexts } from './page.ts';

/** What one look of a node's workflow takes on: the rest comes with the next. */
const BATCH = 500;

interface Place {
  readonly id: string;
  readonly projectId: string;
}

/** Remembers recorded replicas whose node did not answer, for its return. */
export async function doomReplicas(
  tx: DatabaseTransaction,
  deployment: Place,
  replicaIds: readonly string[],
): Promise<void> {
  if (replicaIds.length === 0) return;
  await tx
    .insertInto('doomed_replicas')
    .columns(['node_id', 'deployment_id', 'revision', 'index', 'project_id'])
    .expression((eb) =>
      eb
        .selectFrom('replicas')
        .select(['node_id', 'deployment_id', 'revision', 'index', sql<string>`${deployment.projectId}::uuid`.as('p')])
        .where('deployment_id', '=', deployment.id)
        .where(isOneOfTexts('replica_id', replicaIds)),
    )
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Remembers what a deleted deployment may have left on nodes that did not answer. */
export async function doomDeployment(
  tx: DatabaseTransaction,
  { id, projectId }: Place,
  left: { readonly replicas: readonly DoomedReplica[]; readonly nodeIds: readonly string[] },
): Promise<void> {
  const place = { deployment_id: id, project_id: projectId };
  const replicas = left.replicas.map(({ nodeId, revision, index }) => ({ node_id: nodeId, revision, index, ...place }));
  if (replicas.length > 0) {
    await tx
      .insertInto('doomed_replicas')
      .values(replicas)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
  const nodes = left.nodeIds.map((nodeId) => ({ node_id: nodeId, ...place }));
  if (nodes.length > 0) {
    await tx
      .insertInto('doomed_deployments')
      .values(nodes)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
}

/** Lists what is to go from a node, oldest first. */
export async function listDoomed(db: Database, { nodeId }: { readonly nodeId: string }): Promise<DoomedOnNode> {
  const replicas = await db
    .selectFrom('doomed_replicas')
    .select(['deployment_id as deploymentId', 'revision', 'index'])
    .where('node_id', '=', nodeId)
    .orderBy('recorded_at')
    .limit(BATCH)
    .execute();
  const deployments = await db
    .selectFrom('doomed_deployments')
    .select(['deployment_id as deploymentId', 'project_id as projectId'])
    .where('node_id', '=', nodeId)
    .orderBy('recorded_at')
    .limit(BATCH)
    .execute();
  const deleted = await db
    .selectFrom('volumes')
    .select(['id as volumeId', 'copy'])
    .where('node_id', '=', nodeId)
    .where('removing', '=', true)
    .orderBy('id')
    .limit(BATCH)
    .execute();
  const leftovers = await db
    .selectFrom('volume_leftovers')
    .select(['volume_id as volumeId', 'copy'])
    .where('node_id', '=', nodeId)
    .orderBy('recorded_at')
    .limit(BATCH)
    .execute();
  const volumes = [...deleted, ...leftovers].map(({ volumeId, copy }) => {
    return copy === 0 ? { volumeId } : { volumeId, copy };
  });
  const snapshots = await db
    .selectFrom('volume_snapshots')
    .select('id as snapshotId')
    .where('node_id', '=', nodeId)
    .where('removing', '=', true)
    .orderBy('id')
    .limit(BATCH)
    .execute();
  return { replicas, deployments, volumes, snapshots };
}

/** Forgets what has been removed from a node. */
export async function forgetDoomed(
  db: Database,
  { nodeId, replicas, deployments, volumes = [], snapshots = [] }: { readonly nodeId: string } & DoomedOnNode,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    for (const { deploymentId, revision, index } of replicas) {
      await tx
        .deleteFrom('doomed_replicas')
        .where('node_id', '=', nodeId)
        .where('deployment_id', '=', deploymentId)
        .where('revision', '=', revision)
        .where('index', '=', index)
        .execute();
    }
    for (const { volumeId, copy = 0 } of volumes) {
      const deleted = tx.deleteFrom('volumes').where('id', '=', volumeId).where('removing', '=', true);
      await deleted.where('copy', '=', copy).execute();
      const leftovers = tx.deleteFrom('volume_leftovers').where('volume_id', '=', volumeId);
      await leftovers.where('node_id', '=', nodeId).where('copy', '=', copy).execute();
    }
    for (const { snapshotId } of snapshots) {
      await tx.deleteFrom('volume_snapshots').where('id', '=', snapshotId).where('removing', '=', true).execute();
    }
    for (const { deploymentId } of deployments) {
      await tx
        .deleteFrom('doomed_deployments')
        .where('node_id', '=', nodeId)
        .where('deployment_id', '=', deploymentId)
        .execute();
    }
  });
}
