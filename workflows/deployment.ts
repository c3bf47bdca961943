import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineUpdate,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import {
  DEPLOY_UPDATE,
  type DeploymentInput,
  type DeploymentView,
  type DeployRequest,
  type OperationAccepted,
  type PendingOperation,
  REMOVE_UPDATE,
  type RemoveRequest,
  VIEW_QUERY,
} from '../contracts/deployment.ts';
import { storeForCaller } from './activity-stubs.ts';
import { unwrapped } from './failures.ts';
import { removeDeployment } from './remove-deployment.ts';
import { rollOut } from './roll-out.ts';

const deployUpdate = defineUpdate<OperationAccepted, [DeployRequest]>(DEPLOY_UPDATE);
const removeUpdate = defineUpdate<OperationAccepted, [RemoveRequest]>(REMOVE_UPDATE);
const viewQuery = defineQuery<DeploymentView>(VIEW_QUERY);

/** What the entity knows between operations. */
interface Entity {
  readonly input: DeploymentInput;
  readonly pending: PendingOperation[];
  current: PendingOperation | null;
  /** Cancels the operation under way; a removal does not wait for a rollout. */
  cancelCurrent: () => void;
  /** Whether the deployment is known to exist; a run whose creation was refused ends. */
  established: boolean;
  /** Update handlers that have begun and not ended. */
  handling: number;
  handled: number;
}

/**
 * The one writer of a deployment. Exactly one per deployment, `deployment/<deployment id>`, from its creation to its
 * removal.
 *
 * Takes the updates `deploy` and `remove`, each answered once its operation is stored, and carries operations out one at
 * a time: a newer deploy supersedes a waiting one, a removal supersedes all and cancels what is under way. Ends after
 * the removal, or at once when the creation was refused. Pending operations survive continue-as-new.
 */
export async function deployment(input: DeploymentInput): Promise<void> {
  const entity: Entity = {
    input,
    pending: [...(input.carried?.pending ?? [])],
    current: null,
    cancelCurrent: () => undefined,
    established: input.carried !== undefined,
    handling: 0,
    handled: 0,
  };
  setHandler(deployUpdate, (request) => accept(entity, 'deploy', () => storeDeploy(entity, request)));
  setHandler(removeUpdate, (request) => accept(entity, 'remove', () => storeRemove(entity, request)));
  setHandler(viewQuery, () => ({ current: entity.current, pending: [...entity.pending] }));

  for (;;) {
    await condition(() => entity.pending.length > 0 || isRefused(entity) || workflowInfo().continueAsNewSuggested);
    const operation = entity.pending.shift();
    if (operation?.kind === 'remove') return await finish(entity, operation);
    if (operation) await perform(entity, operation);
    else if (isRefused(entity)) return;
    if (workflowInfo().continueAsNewSuggested) await renew(entity);
  }
}

function isRefused(entity: Entity): boolean {
  return !entity.established && entity.handling === 0 && entity.handled > 0;
}

async function storeDeploy({ input }: Entity, request: DeployRequest): Promise<OperationAccepted> {
  const { deploymentId, organizationId, projectId } = input;
  return await storeForCaller.storeDeploy({ deploymentId, organizationId, projectId, request });
}

async function storeRemove({ input }: Entity, request: RemoveRequest): Promise<OperationAccepted> {
  const { deploymentId, organizationId, projectId } = input;
  return await storeForCaller.storeRemove({ deploymentId, organizationId, projectId, request });
}

/** Stores a request and puts it in line; a repeated one that is in line or has ended changes nothing. */
async function accept(
  entity: Entity,
  kind: PendingOperation['kind'],
  storeRequest: () => Promise<OperationAccepted>,
): Promise<OperationAccepted> {
  entity.handling += 1;
  try {
    const accepted = await storeRequest();
    entity.established = true;
    const { operationId, revision, open } = accepted;
    const known = [entity.current, ...entity.pending].some((operation) => operation?.operationId === operationId);
    if (open && !known) await enqueue(entity, { kind, operationId, revision });
    return accepted;
  } catch (error) {
    throw unwrapped(error);
  } finally {
    entity.handling -= 1;
    entity.handled += 1;
  }
}

/** Only the newest deploy waits, and nothing waits behind a removal: so the line is never longer than one. */
async function enqueue(entity: Entity, operation: PendingOperation): Promise<void> {
  const superseded = entity.pending.splice(0, entity.pending.length, operation);
  if (operation.kind === 'remove') entity.cancelCurrent();
  for (const { operationId } of superseded) {
    const { deploymentId } = entity.input;
    await storeForCaller.supersedeOperation({ deploymentId, operationId, byOperationId: operation.operationId });
  }
}

async function perform(entity: Entity, operation: PendingOperation): Promise<void> {
  const { deploymentId, timing } = entity.input;
  entity.current = operation;
  const scope = new CancellationScope();
  entity.cancelCurrent = () => scope.cancel();
  await scope.run(() => rollOut(deploymentId, operation, timing));
  entity.cancelCurrent = () => undefined;
  entity.current = null;
}

async function finish(entity: Entity, operation: PendingOperation): Promise<void> {
  const { deploymentId, timing } = entity.input;
  entity.current = operation;
  await CancellationScope.nonCancellable(() => removeDeployment(deploymentId, operation, timing));
  await condition(allHandlersFinished);
}

async function renew(entity: Entity): Promise<never> {
  await condition(allHandlersFinished);
  return await continueAsNew<typeof deployment>({ ...entity.input, carried: { pending: entity.pending } });
}
