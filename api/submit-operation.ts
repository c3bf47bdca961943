import type { HandlerContext } from '@connectrpc/connect';
import type { Database } from '../adapters/postgres/database.ts';
import { findDeployment } from '../adapters/postgres/deployments.ts';
import { idempotencyConflict } from '../adapters/postgres/mutation-keys.ts';
import { findOperation, findOperationByKey, type OperationRecord } from '../adapters/postgres/operations.ts';
import type { WorkflowGateway } from '../adapters/temporal/workflow-gateway.ts';
import type { OperationRequest, RequestIdentity } from '../contracts/deployment.ts';
import { DomainError, notFound } from '../domain/errors.ts';
import { getCaller, getCallerOrganization } from './auth/caller.ts';
import { deriveId } from './request-identity.ts';

/** What submitting needs. */
export interface SubmitDeps {
  readonly db: Database;
  readonly workflows: Pick<WorkflowGateway, 'submit' | 'tellStored'>;
}

/** What all requests for operations have in common on the wire. */
export interface WireRequest {
  readonly idempotencyKey: string;
  readonly deploymentId: string;
  readonly reason: string;
  readonly supersedeRunning?: boolean;
}

/** An operation without what every request carries. */
type Wish = OperationRequest extends infer Request
  ? Request extends OperationRequest
    ? Omit<Request, keyof RequestIdentity>
    : never
  : never;

/**
 * Asks the workflow of an existing deployment for an operation, and answers with it as it is stored.
 *
 * An earlier attempt is found before anything else is looked at, because what was accepted must be answered alike
 * although the world has moved on: variables gone, nodes lost, the deployment deleted.
 *
 * @throws IDEMPOTENCY_CONFLICT, NOT_FOUND, what it is refused with.
 */
export async function submitOperation(
  deps: SubmitDeps,
  context: HandlerContext,
  { wire, requestHash, wish }: { wire: WireRequest; requestHash: string; wish: () => Promise<Wish> | Wish },
): Promise<OperationRecord> {
  const organizationId = getCallerOrganization(context);
  const deploymentId = wire.deploymentId.toLowerCase();
  const { idempotencyKey } = wire;
  const { db, workflows } = deps;
  const repeated = await findRepeated(deps, { organizationId, idempotencyKey, requestHash });
  if (repeated) return repeated;
  const current = await findDeployment(db, deploymentId);
  if (!current) throw notFound('deployment');
  const request = { ...(await wish()), ...identityOf(context, wire), requestHash } as OperationRequest;
  const { operationId } = await workflows.submit({
    ...{ deploymentId, organizationId, projectId: current.projectId, request },
  });
  const stored = await findOperation(db, operationId);
  if (!stored) throw new DomainError('INTERNAL', 'an accepted operation is not stored');
  return stored;
}

/** What all attempts of one request have in common. */
export function identityOf(context: HandlerContext, wire: Omit<WireRequest, 'deploymentId'>) {
  const { idempotencyKey, reason, supersedeRunning = false } = wire;
  const operationId = deriveId(getCallerOrganization(context), idempotencyKey, 'operation');
  return { operationId, idempotencyKey, actorUserId: getCaller(context).userId, reason, supersedeRunning };
}

/**
 * Finds the operation of an earlier attempt. Whoever made that one may have died before it told the workflow, so a
 * workflow that has not begun with it is told again.
 *
 * @throws IDEMPOTENCY_CONFLICT when the key was used for something else.
 */
export async function findRepeated(
  { db, workflows }: SubmitDeps,
  { requestHash, ...key }: { organizationId: string; idempotencyKey: string; requestHash: string },
): Promise<OperationRecord | undefined> {
  const operation = await findOperationByKey(db, key);
  if (operation && operation.requestHash !== requestHash) throw idempotencyConflict(key.idempotencyKey);
  if (operation?.state === 'queued') await tellAgain(workflows, operation);
  return operation;
}

/** An operation is accepted once it is stored; what is not told now is told by the next who looks for what was not. */
async function tellAgain(
  workflows: Pick<WorkflowGateway, 'tellStored'>,
  { deploymentId, organizationId, projectId }: OperationRecord,
): Promise<void> {
  await workflows.tellStored({ deploymentId, organizationId, projectId }).catch(() => undefined);
}
