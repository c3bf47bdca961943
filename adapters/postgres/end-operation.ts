import { sql } from 'kysely';
import type { OperationRef } from '../../contracts/activities.ts';
import type { OperationFailure, RemovalPlan } from '../../contracts/rollout.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import {
  endOperation,
  getRevision,
  hasRoute,
  lockDeployment,
  lockExisting,
  settleGeneration,
  startOperation,
} from './deployment-lock.ts';
import { MAX_MESSAGE_LENGTH, recordEvents, toStorableText } from './events.ts';

/** Longest hint that the table takes. */
const MAX_HINT_LENGTH = 1024;

/** Marks a waiting operation as superseded by a newer one. */
export async function supersedeOperation(
  db: Database,
  { deploymentId, operationId, byOperationId }: OperationRef & { readonly byOperationId: string },
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const deployment = await lockDeployment(tx, deploymentId);
    const isEnded = await endOperation(tx, operationId, { state: 'superseded', superseded_by: byOperationId });
    if (!deployment || !isEnded) return;
    const message = 'superseded by a newer operation';
    await recordEvents(tx, deployment, [{ kind: 'operation.superseded', message, operationId }]);
  });
}

/** Records that a deploy reached its goal; a revision without a port takes the deployment's routes away. */
export async function finishOperation(db: Database, { deploymentId, operationId }: OperationRef): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    if (!(await endOperation(tx, operationId, { state: 'succeeded' }))) return;
    const revision = await revisionOf(tx, operationId);
    await tx.updateTable('deployments').set({ serving_revision: revision }).where('id', '=', deploymentId).execute();
    const { spec } = await getRevision(tx, deploymentId, revision);
    const isNewest = revision === deployment.revision;
    if (isNewest && spec.port === null) await deleteRoutes(tx, deploymentId);
    const message = `revision ${revision} is running`;
    await recordEvents(tx, deployment, [{ kind: 'operation.succeeded', message, operationId }]);
  });
}

/**
 * Records that a deploy failed. Replicas of its revision that do not serve are forgotten with their reservations; their
 * containers are gone by now, or are found as orphans of their node.
 */
export async function failOperation(
  db: Database,
  { deploymentId, operationId, failure }: OperationRef & { readonly failure: OperationFailure },
): Promise<void> {
  const message = toStorableText(failure.message, MAX_MESSAGE_LENGTH);
  const hint = toStorableText(failure.hint, MAX_HINT_LENGTH);
  const error = { error_code: failure.code, error_message: message, error_hint: hint };
  await db.transaction().execute(async (tx) => {
    const deployment = await lockDeployment(tx, deploymentId);
    const isEnded = await endOperation(tx, operationId, { state: 'failed', ...error });
    if (!deployment || !isEnded) return;
    await tx
      .deleteFrom('replicas')
      .where('deployment_id', '=', deploymentId)
      .where('revision', '=', await revisionOf(tx, operationId))
      .where('serving', '=', false)
      .execute();
    await recordEvents(tx, deployment, [{ kind: 'operation.failed', message, operationId }]);
  });
}

/** Marks the removal as running, takes the deployment's routes away, and says what there is to remove. */
export async function beginRemoval(
  db: Database,
  { deploymentId, operationId }: OperationRef,
): Promise<RemovalPlan & { readonly generation: number | null }> {
  return await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    if (await startOperation(tx, operationId)) {
      await recordEvents(tx, deployment, [{ kind: 'operation.started', message: 'removal began', operationId }]);
    }
    const isRouted = await hasRoute(tx, deploymentId);
    await deleteRoutes(tx, deploymentId);
    await tx
      .updateTable('replicas')
      .set({ state: 'removing', serving: false })
      .where('deployment_id', '=', deploymentId)
      .execute();
    const replicas = await tx
      .selectFrom('replicas')
      .select(['replica_id as replicaId', 'index', 'node_id as nodeId', 'revision', 'serving'])
      .where('deployment_id', '=', deploymentId)
      .orderBy('revision')
      .orderBy('index')
      .execute();
    const nodes = await tx.selectFrom('nodes').select('id').where('state', '<>', 'lost').orderBy('id').execute();
    const nodeIds = nodes.map((node) => node.id);
    const generation = isRouted ? await settleGeneration(tx) : null;
    return { deploymentId, projectId: deployment.projectId, replicas, nodeIds, generation };
  });
}

/**
 * Deletes every row of the deployment but its history. Whatever else was asked of it meanwhile ends with it: other
 * removals have what they wanted, deploys are superseded.
 */
export async function purgeDeployment(db: Database, { deploymentId, operationId }: OperationRef): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const deployment = await lockDeployment(tx, deploymentId);
    if (deployment) {
      const message = `${deployment.name} is deleted`;
      await recordEvents(tx, deployment, [{ kind: 'operation.succeeded', message, operationId }]);
    }
    await tx.deleteFrom('deployments').where('id', '=', deploymentId).execute();
    const open = tx.updateTable('operations').where('deployment_id', '=', deploymentId);
    const isOpen = ['queued', 'running'] as const;
    await open
      .set({ state: 'succeeded', finished_at: sql<Date>`now()` })
      .where('kind', '=', 'remove')
      .where('state', 'in', isOpen)
      .execute();
    await open
      .set({ state: 'superseded', superseded_by: operationId, finished_at: sql<Date>`now()` })
      .where('kind', '=', 'deploy')
      .where('state', 'in', isOpen)
      .execute();
  });
}

async function deleteRoutes(tx: DatabaseTransaction, deploymentId: string): Promise<void> {
  await tx.deleteFrom('routes').where('deployment_id', '=', deploymentId).execute();
}

async function revisionOf(tx: DatabaseTransaction, operationId: string): Promise<number> {
  const { revision } = await tx
    .selectFrom('operations')
    .select('revision')
    .where('id', '=', operationId)
    .executeTakeFirstOrThrow();
  return revision;
}
