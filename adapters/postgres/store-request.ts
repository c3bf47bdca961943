import { randomUUID } from 'node:crypto';
import type { StoreInput } from '../../contracts/activities.ts';
import type { DeployRequest, OperationAccepted, OperationRequest, RemoveRequest } from '../../contracts/deployment.ts';
import { DomainError, notFound } from '../../domain/errors.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { type LockedDeployment, lockDeployment } from './deployment-lock.ts';
import { isForeignKeyViolation } from './errors.ts';
import { recordEvents } from './events.ts';
import { idempotencyConflict, nameTaken } from './mutation-keys.ts';
import type { OperationKind } from './schema.ts';

/** Stores a deploy: the deployment when the request creates it, its next revision, its route and the operation. */
export async function storeDeploy(
  db: Database,
  input: StoreInput<DeployRequest>,
  domain: string,
): Promise<OperationAccepted> {
  return await db.transaction().execute(async (tx) => {
    const { deploymentId, request } = input;
    const deployment = await createOrLock(tx, input);
    const repeated = await findRepeated(tx, input);
    if (repeated) {
      if (!deployment || deployment.revision === 0) throw deploymentDeleted();
      return repeated;
    }
    if (!deployment || !isInPlace(deployment, input)) throw notFound('deployment');
    if (deployment.deleting) throw deploymentDeleted();
    const revision = deployment.revision + 1;
    await insertOperation(tx, { input, kind: 'deploy', revision, deploymentName: deployment.name });
    await tx
      .insertInto('revisions')
      .values({
        deployment_id: deploymentId,
        number: revision,
        spec: JSON.stringify(request.spec),
        operation_id: request.operationId,
      })
      .execute();
    await tx.updateTable('deployments').set({ revision }).where('id', '=', deploymentId).execute();
    if (request.spec.port !== null) await ensureRoute(tx, deployment, domain);
    const message = `revision ${revision} is queued`;
    await recordEvents(tx, deployment, [{ kind: 'operation.queued', message, operationId: request.operationId }]);
    return { operationId: request.operationId, revision, open: true };
  });
}

/** Stores a removal; from now on the deployment takes no deploys. */
export async function storeRemove(db: Database, input: StoreInput<RemoveRequest>): Promise<OperationAccepted> {
  return await db.transaction().execute(async (tx) => {
    const { deploymentId, request } = input;
    const deployment = await lockDeployment(tx, deploymentId);
    const repeated = await findRepeated(tx, input);
    if (!deployment || !isInPlace(deployment, input)) throw notFound('deployment');
    if (repeated) return repeated;
    await insertOperation(tx, { input, kind: 'remove', revision: 0, deploymentName: deployment.name });
    await tx.updateTable('deployments').set({ deleting: true }).where('id', '=', deploymentId).execute();
    const message = 'removal is queued';
    await recordEvents(tx, deployment, [{ kind: 'operation.queued', message, operationId: request.operationId }]);
    return { operationId: request.operationId, revision: 0, open: true };
  });
}

function isInPlace(deployment: LockedDeployment, place: StoreInput<OperationRequest>): boolean {
  return deployment.organizationId === place.organizationId && deployment.projectId === place.projectId;
}

/** Finds what the key stands for already. Called with the deployment's row held, so nobody is storing it just now. */
async function findRepeated(
  tx: DatabaseTransaction,
  { organizationId, request }: StoreInput<OperationRequest>,
): Promise<OperationAccepted | undefined> {
  const operation = await tx
    .selectFrom('operations')
    .select(['id', 'request_hash', 'revision', 'state'])
    .where('organization_id', '=', organizationId)
    .where('idempotency_key', '=', request.idempotencyKey)
    .executeTakeFirst();
  if (!operation) return undefined;
  const isSame = operation.request_hash === request.requestHash && operation.id === request.operationId;
  if (!isSame) throw idempotencyConflict(request.idempotencyKey);
  const open = operation.state === 'queued' || operation.state === 'running';
  return { operationId: operation.id, revision: operation.revision, open };
}

/**
 * Locks the deployment, after creating it when the request does and nobody has. What is there is looked at anew after
 * every step, since another attempt of the same request may have stored it in between.
 */
async function createOrLock(
  tx: DatabaseTransaction,
  input: StoreInput<DeployRequest>,
): Promise<LockedDeployment | undefined> {
  const locked = await lockDeployment(tx, input.deploymentId);
  const name = input.request.createAs;
  if (locked || name === null) return locked;
  if (!(await findRepeated(tx, input))) await insertDeployment(tx, input, name);
  const deployment = await lockDeployment(tx, input.deploymentId);
  if (!deployment && !(await findRepeated(tx, input))) throw nameTaken(name, 'the project');
  return deployment;
}

async function insertDeployment(
  tx: DatabaseTransaction,
  { deploymentId, organizationId, projectId }: StoreInput<DeployRequest>,
  name: string,
): Promise<void> {
  try {
    await tx
      .insertInto('deployments')
      .values({ id: deploymentId, organization_id: organizationId, project_id: projectId, name, revision: 0 })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  } catch (error) {
    throw isForeignKeyViolation(error) ? notFound('project') : error;
  }
}

interface NewOperation {
  readonly input: StoreInput<OperationRequest>;
  readonly kind: OperationKind;
  readonly revision: number;
  readonly deploymentName: string;
}

/** The key may just have been used for another deployment: then the request is another one too. */
async function insertOperation(tx: DatabaseTransaction, operation: NewOperation): Promise<void> {
  const { deploymentId, organizationId, projectId, request } = operation.input;
  const stored = await tx
    .insertInto('operations')
    .values({
      id: request.operationId,
      organization_id: organizationId,
      project_id: projectId,
      deployment_id: deploymentId,
      deployment_name: operation.deploymentName,
      idempotency_key: request.idempotencyKey,
      request_hash: request.requestHash,
      kind: operation.kind,
      state: 'queued',
      revision: operation.revision,
      actor_user_id: request.actorUserId,
    })
    .onConflict((conflict) => conflict.columns(['organization_id', 'idempotency_key']).doNothing())
    .returning('id')
    .executeTakeFirst();
  if (!stored) throw idempotencyConflict(request.idempotencyKey);
}

/** Gives the deployment its hostname, unless it has one. Of two with one name the second gets a part of its id in it. */
async function ensureRoute(tx: DatabaseTransaction, deployment: LockedDeployment, domain: string): Promise<void> {
  const { id, organizationId, name } = deployment;
  const existing = await tx.selectFrom('routes').select('id').where('deployment_id', '=', id).executeTakeFirst();
  if (existing) return;
  for (const label of [name, `${name.slice(0, 56)}-${id.slice(0, 6)}`, `app-${id.replaceAll('-', '')}`]) {
    const created = await tx
      .insertInto('routes')
      .values({
        id: randomUUID(),
        organization_id: organizationId,
        deployment_id: id,
        hostname: `${label}.${domain}`,
      })
      .onConflict((conflict) => conflict.column('hostname').doNothing())
      .returning('id')
      .executeTakeFirst();
    if (created) return;
  }
  throw new DomainError('INTERNAL', `every hostname for deployment ${id} is taken`);
}

function deploymentDeleted(): DomainError {
  return new DomainError('DEPLOYMENT_DELETED', 'the deployment has been deleted, or is about to be', {
    hint: 'Create a new deployment.',
  });
}
