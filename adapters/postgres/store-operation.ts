import type { StoreInput } from '../../contracts/activities.ts';
import type { OperationAccepted, OperationRequest } from '../../contracts/deployment.ts';
import { isUnread } from '../../domain/compose-origin.ts';
import { DomainError, invalidArgument, notFound } from '../../domain/errors.ts';
import type { Move } from '../../domain/move.ts';
import { isOpen, makesRevision } from '../../domain/operation.ts';
import { servicesOf } from '../../domain/spec.ts';
import { checkWriterReplicas, writesVolumes } from '../../domain/volumes.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { getSpec, LOCKED_COLUMNS, type LockedDeployment, lockDeployment } from './deployment-lock.ts';
import { isForeignKeyViolation } from './errors.ts';
import { recordEvents } from './events.ts';
import { idempotencyConflict, nameTaken } from './mutation-keys.ts';
import { readinessOf } from './placement/placement-nodes.ts';
import { ensureRoutes } from './routes.ts';
import { storeRevision } from './store-revision.ts';

/** Stores an operation, the deployment when the request creates it, and the revision and route when it makes one. */
export async function storeOperation(
  db: Database,
  input: StoreInput<OperationRequest>,
  domain: string,
): Promise<OperationAccepted> {
  return await db.transaction().execute(async (tx) => {
    const { request } = input;
    const deployment = await createOrLock(tx, input);
    const repeated = await findRepeated(tx, input);
    const isNew = deployment?.revision === 0;
    if (repeated && (!deployment || isNew)) throw deploymentDeleted();
    if (repeated) return repeated;
    if (!deployment || !isInPlace(deployment, input)) throw notFound('deployment');
    if (deployment.deleting && request.kind !== 'remove') throw deploymentDeleted();
    await checkScale(tx, deployment, request);
    await checkMove(tx, request);
    const revision = makesRevision(request.kind) ? deployment.revision + 1 : 0;
    await insertOperation(tx, { input, revision, deployment });
    const message = await carryOut(tx, { input, revision, deployment, domain });
    const event = { kind: 'operation.queued', message, operationId: request.operationId } as const;
    await recordEvents(tx, deployment, [{ ...event, actorUserId: request.actorUserId }]);
    return { operationId: request.operationId, kind: request.kind, revision, open: true };
  });
}

interface Storing {
  readonly input: StoreInput<OperationRequest>;
  readonly revision: number;
  readonly deployment: LockedDeployment;
  readonly domain: string;
}

/** Stores what the operation needs beside itself. @returns the words for it. */
async function carryOut(tx: DatabaseTransaction, storing: Storing): Promise<string> {
  const { input, revision, deployment, domain } = storing;
  const { request } = input;
  switch (request.kind) {
    case 'deploy':
    case 'update':
    case 'rollback': {
      const { spec, copyOf } = await storeRevision(tx, deployment, request);
      if (!isUnread(spec)) await ensureRoutes(tx, deployment, { services: servicesOf(spec), domain });
      return copyOf === null
        ? `revision ${revision} is queued`
        : `revision ${revision}, a copy of ${copyOf}, is queued`;
    }
    case 'scale':
      return `${request.service} with ${request.replicas} ${request.replicas === 1 ? 'replica' : 'replicas'} is queued`;
    case 'remove':
      await tx.updateTable('deployments').set({ deleting: true }).where('id', '=', deployment.id).execute();
      return 'removal is queued';
    default:
      return `${request.kind} is queued`;
  }
}

async function checkScale(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  request: OperationRequest,
): Promise<void> {
  if (request.kind !== 'scale') return;
  const spec = await getSpec(tx, deployment.id, deployment.revision);
  // What a file that is still to be read says, nobody knows; what runs has services all the same.
  const isKnown = !isUnread(spec) || deployment.currentRevision === 0;
  const services = servicesOf(isKnown ? spec : await getSpec(tx, deployment.id, deployment.currentRevision));
  const names = services.map(({ name }) => name);
  const scaled = services.find(({ name }) => name === request.service);
  if (scaled && writesVolumes(scaled)) checkWriterReplicas('replicas', request.replicas);
  if (scaled) return;
  throw invalidArgument('service', `found ${JSON.stringify(request.service)}`, `one of ${names.join(', ')}`);
}

async function checkMove(tx: DatabaseTransaction, request: OperationRequest): Promise<void> {
  if (request.kind !== 'move' || request.move.to === null) return;
  const { to } = request.move;
  const node = await tx
    .selectFrom('nodes')
    .select(['state', 'cordoned', 'disk_level as diskLevel', 'disk_notice as diskNotice'])
    .where('id', '=', to)
    .executeTakeFirst();
  if (!node) throw invalidArgument('to_node_id', `found ${JSON.stringify(to)}`, 'the id of a node of this cluster');
  const { ready, unready } = readinessOf(node);
  if (ready) return;
  throw new DomainError('NO_NODE_READY', `cannot move to ${to}: it is ${unready}`, { hint: 'Name another node.' });
}

function moveColumns({ from, to, replicas, volumes = false }: Move) {
  return { move_from: from, move_to: to, move_replicas: replicas, move_volumes: volumes };
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
    .select(['id', 'request_hash', 'kind', 'revision', 'state'])
    .where('organization_id', '=', organizationId)
    .where('idempotency_key', '=', request.idempotencyKey)
    .executeTakeFirst();
  if (!operation) return undefined;
  const { id, request_hash: hash, kind, revision, state } = operation;
  if (hash !== request.requestHash || id !== request.operationId) throw idempotencyConflict(request.idempotencyKey);
  return { operationId: id, kind, revision, open: isOpen(state) };
}

/**
 * Creates the deployment when the request does and nobody has, else locks it. One that is created for a request that was
 * carried out already, and whose deployment has gone since, goes with this transaction.
 */
async function createOrLock(
  tx: DatabaseTransaction,
  input: StoreInput<OperationRequest>,
): Promise<LockedDeployment | undefined> {
  const name = input.request.kind === 'deploy' ? input.request.createAs : null;
  if (name === null) return await lockDeployment(tx, input.deploymentId);
  const deployment = (await insertDeployment(tx, input, name)) ?? (await lockDeployment(tx, input.deploymentId));
  if (!deployment && !(await findRepeated(tx, input))) throw nameTaken(name, 'the project');
  return deployment;
}

async function insertDeployment(
  tx: DatabaseTransaction,
  { deploymentId, organizationId, projectId }: StoreInput<OperationRequest>,
  name: string,
): Promise<LockedDeployment | undefined> {
  try {
    return await tx
      .insertInto('deployments')
      .values({ id: deploymentId, organization_id: organizationId, project_id: projectId, name, revision: 0 })
      .onConflict((conflict) => conflict.doNothing())
      .returning(LOCKED_COLUMNS)
      .executeTakeFirst();
  } catch (error) {
    throw isForeignKeyViolation(error) ? notFound('project') : error;
  }
}

/** The key may just have been used for another deployment: then the request is another one too. */
async function insertOperation(
  tx: DatabaseTransaction,
  { input, revision, deployment }: Omit<Storing, 'domain'>,
): Promise<void> {
  const { deploymentId, organizationId, projectId, request } = input;
  const scale = request.kind === 'scale' ? { scale_service: request.service, scale_replicas: request.replicas } : {};
  const move = request.kind === 'move' ? moveColumns(request.move) : {};
  const stored = await tx
    .insertInto('operations')
    .values({
      id: request.operationId,
      organization_id: organizationId,
      project_id: projectId,
      deployment_id: deploymentId,
      deployment_name: deployment.name,
      idempotency_key: request.idempotencyKey,
      request_hash: request.requestHash,
      kind: request.kind,
      state: 'queued',
      revision,
      actor_user_id: request.actorUserId,
      reason: request.reason,
      supersede_running: request.supersedeRunning,
      kept_services: '{}',
      ...scale,
      ...move,
    })
    .onConflict((conflict) => conflict.columns(['organization_id', 'idempotency_key']).doNothing())
    .returning('id')
    .executeTakeFirst();
  if (!stored) throw idempotencyConflict(request.idempotencyKey);
}

function deploymentDeleted(): DomainError {
  return new DomainError('DEPLOYMENT_DELETED', 'the deployment has been deleted, or is about to be', {
    hint: 'Create a new deployment.',
  });
}
