import { sql } from 'kysely';
import type { Leftovers, OperationRef } from '../../contracts/activities.ts';
import type { OperationFailure, RemovalPlan } from '../../contracts/rollout.ts';
import { makesRevision, OPEN_STATES } from '../../domain/operation.ts';
import { servicesOf } from '../../domain/spec.ts';
import { endBuilds } from './builds.ts';
import { settleCarries } from './carried-volumes.ts';
import { orphanVolumes, releaseVolumes } from './claim-volumes.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import {
  endOperation,
  getOperation,
  getSpec,
  hasRoute,
  lockDeployment,
  lockExisting,
  settleGeneration,
  startOperation,
} from './deployment-lock.ts';
import { doomDeployment } from './doomed.ts';
import { MAX_MESSAGE_LENGTH, recordEvents, toStorableText } from './events.ts';
import { settleLeft } from './left-volumes.ts';
import { readGoal } from './plan-rollout.ts';
import { deleteOtherRoutes } from './routes.ts';

/** Volumes that the message about a removal names. */
const NAMED_VOLUMES = 20;

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

/**
 * Records that an operation reached its goal, which from now on is what runs when all goes well. A service without a
 * port, and one that is no longer there, loses its route.
 */
export async function finishOperation(db: Database, { deploymentId, operationId }: OperationRef): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    const operation = await getOperation(tx, operationId);
    const goal = await readGoal(tx, deployment, operation);
    if (!(await endOperation(tx, operationId, { state: 'succeeded' }))) return;
    const revision = makesRevision(operation.kind) ? operation.revision : deployment.currentRevision;
    await tx
      .updateTable('deployments')
      .set({ current_revision: revision, stopped: goal.stopped, cohort: operation.cohort ?? deployment.cohort })
      .where('id', '=', deploymentId)
      .execute();
    await tx.deleteFrom('deployment_services').where('deployment_id', '=', deploymentId).execute();
    await tx
      .insertInto('deployment_services')
      .values(goal.services.map((service) => ({ deployment_id: deploymentId, ...service })))
      .execute();
    await releaseVolumes(tx, deployment, goal.services);
    await settleCarries(tx, operationId);
    await settleLeft(tx, operationId);
    if (revision === deployment.revision) await deleteOldRoutes(tx, deploymentId, revision);
    const message = goal.stopped ? 'it is stopped' : `revision ${revision} is running`;
    await recordEvents(tx, deployment, [{ kind: 'operation.succeeded', message, operationId }]);
  });
}

/**
 * Records that an operation failed or was cancelled. What it reserved and does not serve is forgotten; containers of
 * that are gone by now, or are found as orphans of their node.
 */
export async function failOperation(
  db: Database,
  { deploymentId, operationId, failure }: OperationRef & { readonly failure: OperationFailure },
): Promise<void> {
  const message = toStorableText(failure.message, MAX_MESSAGE_LENGTH);
  const hint = toStorableText(failure.hint, MAX_HINT_LENGTH);
  const isCancelled = failure.code === 'CANCELLED';
  const error = { error_code: failure.code, error_message: message, error_hint: hint };
  await db.transaction().execute(async (tx) => {
    const deployment = await lockDeployment(tx, deploymentId);
    const end = isCancelled ? ({ state: 'cancelled' } as const) : ({ state: 'failed', ...error } as const);
    const isEnded = await endOperation(tx, operationId, end);
    if (!deployment || !isEnded) return;
    await endBuilds(tx, operationId, isCancelled ? 'cancelled' : 'failed');
    await settleCarries(tx, operationId);
    await settleLeft(tx, operationId);
    await tx
      .deleteFrom('replicas')
      .where('deployment_id', '=', deploymentId)
      .where('operation_id', '=', operationId)
      .where('serving', '=', false)
      .execute();
    const kind = isCancelled ? 'operation.cancelled' : 'operation.failed';
    await recordEvents(tx, deployment, [{ kind, message, operationId }]);
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
    await deleteOtherRoutes(tx, deploymentId, []);
    await tx
      .updateTable('replicas')
      .set({ state: 'removing', serving: false })
      .where('deployment_id', '=', deploymentId)
      .execute();
    const replicas = await tx
      .selectFrom('replicas')
      .select(['node_id as nodeId', 'revision', 'index'])
      .where('deployment_id', '=', deploymentId)
      .orderBy('revision')
      .orderBy('index')
      .execute();
    const nodes = await tx.selectFrom('nodes').select(['id', 'state']).orderBy('id').execute();
    const nodeIds = nodes.map((node) => node.id);
    // A removal that waited for a daemon which stands still would hold up deployments that have nothing there.
    const lostNodeIds = nodes.flatMap(({ id, state }) => (state === 'lost' || state === 'degraded' ? [id] : []));
    const generation = isRouted ? await settleGeneration(tx) : null;
    return { deploymentId, projectId: deployment.projectId, replicas, nodeIds, lostNodeIds, generation };
  });
}

/**
 * Deletes every row of the deployment but its history. Whatever else was asked of it meanwhile ends with it: other
 * removals have what they wanted, everything else is superseded.
 */
export async function purgeDeployment(
  db: Database,
  { deploymentId, operationId, unreachableReplicas, unreachableNodes }: OperationRef & Leftovers,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const deployment = await lockDeployment(tx, deploymentId);
    if (deployment) {
      await doomDeployment(tx, deployment, { replicas: unreachableReplicas, nodeIds: unreachableNodes });
      const left = unreachableNodes.length === 0 ? '' : `; ${unreachableNodes.length} nodes clean up when they answer`;
      const volumes = await orphanVolumes(tx, deploymentId);
      const stay = volumes.length === 0 ? '' : `; its volumes stay: ${volumes.slice(0, NAMED_VOLUMES).join(', ')}`;
      const others = volumes.length > NAMED_VOLUMES ? ` and ${volumes.length - NAMED_VOLUMES} more` : '';
      const message = `${deployment.name} is deleted${left}${stay}${others}`;
      await recordEvents(tx, deployment, [{ kind: 'operation.succeeded', message, operationId }]);
    }
    await tx.deleteFrom('deployments').where('id', '=', deploymentId).execute();
    const open = tx.updateTable('operations').where('deployment_id', '=', deploymentId);
    await open
      .set({ state: 'succeeded', waits_for: '', finished_at: sql<Date>`now()` })
      .where('kind', '=', 'remove')
      .where('state', 'in', OPEN_STATES)
      .execute();
    await open
      .set({ state: 'superseded', waits_for: '', superseded_by: operationId, finished_at: sql<Date>`now()` })
      .where('kind', '<>', 'remove')
      .where('state', 'in', OPEN_STATES)
      .execute();
  });
}

async function deleteOldRoutes(tx: DatabaseTransaction, deploymentId: string, revision: number): Promise<void> {
  const services = servicesOf(await getSpec(tx, deploymentId, revision));
  const routed = services.flatMap(({ name, port }) => (port === null ? [] : [name]));
  await deleteOtherRoutes(tx, deploymentId, routed);
}
