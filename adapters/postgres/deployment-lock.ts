import { sql } from 'kysely';
import { DomainError, notFound } from '../../domain/errors.ts';
import type { DeploymentSpec } from '../../domain/spec.ts';
import type { DatabaseTransaction } from './database.ts';
import type { OperationState } from './schema.ts';

/** A deployment whose row this transaction holds. */
export interface LockedDeployment {
  readonly id: string;
  readonly organizationId: string;
  readonly projectId: string;
  readonly name: string;
  readonly revision: number;
  readonly deleting: boolean;
}

/**
 * Locks a deployment for the rest of the transaction; `undefined` when it does not exist.
 *
 * Everything that changes a deployment, its replicas, routes or events begins with this, and several of them are
 * locked in the order of their ids. So no two transactions wait for each other crosswise.
 */
export async function lockDeployment(tx: DatabaseTransaction, id: string): Promise<LockedDeployment | undefined> {
  return await tx
    .selectFrom('deployments')
    .select(['id', 'organization_id as organizationId', 'project_id as projectId', 'name', 'revision', 'deleting'])
    .where('id', '=', id)
    .forNoKeyUpdate()
    .executeTakeFirst();
}

/** The same for a deployment that must be there. @throws DEPLOYMENT_DELETED */
export async function lockExisting(tx: DatabaseTransaction, id: string): Promise<LockedDeployment> {
  const deployment = await lockDeployment(tx, id);
  if (deployment) return deployment;
  throw new DomainError('DEPLOYMENT_DELETED', 'the deployment has been deleted');
}

/**
 * Marks an operation as running.
 *
 * @returns whether this call did it: `false` for a repeated one.
 * @throws NOT_FOUND
 */
export async function startOperation(tx: DatabaseTransaction, operationId: string): Promise<boolean> {
  const started = await tx
    .updateTable('operations')
    .set((eb) => ({ state: 'running', started_at: eb.fn<Date>('now') }))
    .where('id', '=', operationId)
    .where('state', '=', 'queued')
    .returning('id')
    .executeTakeFirst();
  if (started) return true;
  await getOperationState(tx, operationId);
  return false;
}

/** How an operation ends. */
export type OperationEnd =
  | { readonly state: 'succeeded' }
  | { readonly state: 'superseded'; readonly superseded_by: string }
  | {
      readonly state: 'failed';
      readonly error_code: string;
      readonly error_message: string;
      readonly error_hint: string;
    };

/**
 * Ends an open operation.
 *
 * @returns whether this call did it: `false` when it had ended already, however it did.
 */
export async function endOperation(tx: DatabaseTransaction, operationId: string, end: OperationEnd): Promise<boolean> {
  const ended = await tx
    .updateTable('operations')
    .set(end)
    .set((eb) => ({ finished_at: eb.fn<Date>('now') }))
    .where('id', '=', operationId)
    .where('state', 'in', ['queued', 'running'])
    .returning('id')
    .executeTakeFirst();
  return ended !== undefined;
}

/** How an operation stands. @throws NOT_FOUND */
export async function getOperationState(tx: DatabaseTransaction, operationId: string): Promise<OperationState> {
  const operation = await tx.selectFrom('operations').select('state').where('id', '=', operationId).executeTakeFirst();
  if (!operation) throw notFound('operation');
  return operation.state;
}

/** A revision: what is wanted, and the digest to which it is pinned. @throws NOT_FOUND */
export async function getRevision(
  tx: DatabaseTransaction,
  deploymentId: string,
  number: number,
): Promise<{ readonly spec: DeploymentSpec; readonly imageDigest: string | null }> {
  const revision = await tx
    .selectFrom('revisions')
    .select(['spec', 'image_digest as imageDigest'])
    .where('deployment_id', '=', deploymentId)
    .where('number', '=', number)
    .executeTakeFirst();
  if (!revision) throw notFound('revision');
  return revision;
}

/** Pins a revision to a digest; one that is pinned stays as it is. @returns whether this call did it. */
export async function pinRevision(
  tx: DatabaseTransaction,
  revision: { readonly deploymentId: string; readonly number: number; readonly digest: string },
): Promise<boolean> {
  const pinned = await tx
    .updateTable('revisions')
    .set({ image_digest: revision.digest })
    .where('deployment_id', '=', revision.deploymentId)
    .where('number', '=', revision.number)
    .where('image_digest', 'is', null)
    .returning('number')
    .executeTakeFirst();
  return pinned !== undefined;
}

/** The generation that the ingress will have once this transaction is committed; the deferred triggers run now. */
export async function settleGeneration(tx: DatabaseTransaction): Promise<number> {
  await sql`SET CONSTRAINTS ALL IMMEDIATE`.execute(tx);
  const { generation } = await tx.selectFrom('ingress_generation').select('generation').executeTakeFirstOrThrow();
  return generation;
}

/** Whether a deployment has a route. */
export async function hasRoute(tx: DatabaseTransaction, deploymentId: string): Promise<boolean> {
  const route = await tx.selectFrom('routes').select('id').where('deployment_id', '=', deploymentId).executeTakeFirst();
  return route !== undefined;
}
