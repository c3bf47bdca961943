import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  getExternalWorkflowHandle,
  log,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import {
  CONTROLS,
  type ControlRequest,
  type DeploymentInput,
  type DeploymentView,
  HEAL_SIGNAL,
  MOVE_SIGNAL,
  OPERATION_ENDED_SIGNAL,
  OPERATION_STORED_SIGNAL,
  OPERATION_UPDATES,
  type OperationAccepted,
  type OperationRequest,
  type PendingOperation,
  POWER_SIGNAL,
  VIEW_QUERY,
} from '../contracts/deployment.ts';
import { lineUp, splitBegun } from '../domain/operation.ts';
import { store, storeForCaller } from './activity-stubs.ts';
import { unwrapped } from './failures.ts';
import { partOfRequest } from './part-of-request.ts';
import { removeDeployment } from './remove-deployment.ts';
import { rollOut } from './roll-out.ts';
import { listen, type Words } from './words.ts';

/** What other workflows ask for; nobody waits for an answer. */
const requestSignals = [HEAL_SIGNAL, MOVE_SIGNAL, POWER_SIGNAL].map((name) => defineSignal<[OperationRequest]>(name));
const storedSignal = defineSignal(OPERATION_STORED_SIGNAL);
const viewQuery = defineQuery<DeploymentView>(VIEW_QUERY);

/** The server takes 2,000 updates in one run; half of them leaves room for those that come while it renews. */
const UPDATES_PER_RUN = 1_000;

/** What the entity knows between operations. */
interface Entity {
  readonly input: DeploymentInput;
  pending: readonly PendingOperation[];
  current: PendingOperation | null;
  /** Ids of operations that were superseded, and that the database still has as open. */
  readonly superseding: Set<string>;
  /** What people say about the operation under way. */
  words: Words;
  /** Whether the deployment is known to exist; a run without one ends. */
  established: boolean;
  /** Handlers of updates and signals that have begun and not ended. */
  handling: number;
  handled: number;
}

/**
 * The one writer of a deployment. Exactly one per deployment, `deployment/<deployment id>`, from its creation to its
 * removal.
 *
 * Told that an operation was stored, it takes what there is from the database, and carries operations out one at a time
 * in the order of `lineUp`: a newer one supersedes the waiting one that sets the same, a removal supersedes all and
 * cancels what is under way. Takes `cancel`, `pause`, `resume` and `approve` at any moment. Ends after the removal, or
 * at once when there is no such deployment. Pending operations survive continue-as-new.
 */
export async function deployment(input: DeploymentInput): Promise<void> {
  const entity: Entity = {
    input,
    pending: input.carried?.pending ?? [],
    current: null,
    superseding: new Set(),
    words: listen(() => undefined),
    established: input.carried !== undefined,
    handling: 0,
    handled: 0,
  };
  setHandler(storedSignal, () => takeStored(entity));
  for (const name of Object.values(OPERATION_UPDATES)) {
    setHandler(defineUpdate<OperationAccepted, [OperationRequest]>(name), (request) => accept(entity, request));
  }
  for (const signal of requestSignals) setHandler(signal, (request) => acceptFromWorkflow(entity, request));
  for (const name of CONTROLS) {
    setHandler(defineUpdate<void, [ControlRequest]>(name), (request) => obey(entity, request));
  }
  setHandler(viewQuery, () => ({
    current: entity.current,
    waitsFor: entity.words.waitsFor,
    pending: [...entity.pending],
  }));

  for (;;) {
    await condition(() => entity.pending.length > 0 || isVain(entity) || isFull(entity));
    const [operation, ...others] = entity.pending;
    entity.pending = others;
    if (operation?.kind === 'remove') return await finish(entity, operation);
    if (operation) await perform(entity, operation);
    else if (isVain(entity)) return;
    if (isFull(entity)) await renew(entity);
  }
}

/** An operation, and who asked for it. */
type Told = Pick<PendingOperation, 'operationId' | 'tellWorkflowId'>;

function isVain(entity: Entity): boolean {
  return !entity.established && entity.handling === 0 && entity.handled > 0;
}

function isFull(entity: Entity): boolean {
  return workflowInfo().continueAsNewSuggested || entity.handled >= UPDATES_PER_RUN;
}

/** Puts in line what is stored and not in it yet. */
async function takeStored(entity: Entity): Promise<void> {
  await handling(entity, async () => {
    const { exists, operations } = await store.takeOperations({ deploymentId: entity.input.deploymentId });
    entity.established ||= exists;
    // All at once: while a superseded one is being recorded, others here may begin, end or be cancelled.
    const fresh = operations.filter(({ operationId }) => !isKnown(entity, operationId));
    const { begins, wait } = splitBegun(fresh, entity.current === null && entity.pending.length === 0);
    const superseded = wait.flatMap((operation) => enqueue(entity, operation, operation.supersedeRunning));
    entity.pending = [...begins, ...entity.pending];
    await recordSuperseded(entity, superseded);
  });
}

/** Stores a request and puts it in line; a repeated one that is in line or has ended changes nothing. */
async function accept(entity: Entity, request: OperationRequest): Promise<OperationAccepted> {
  return await handling(entity, async () => {
    const accepted = await storeForCaller.storeOperation({ ...placeOf(entity), request });
    entity.established = true;
    const [{ operationId, kind, revision, open }, { tellWorkflowId, supersedeRunning }] = [accepted, request];
    const told = { ...(tellWorkflowId === undefined ? {} : { tellWorkflowId }), ...partOfRequest(request) };
    if (open && !isKnown(entity, operationId)) {
      const superseded = enqueue(entity, { kind, operationId, revision, ...told }, supersedeRunning);
      await recordSuperseded(entity, superseded);
    }
    return accepted;
  });
}

/** Whoever asked learns the end from the database, and asks again where it is worth it. */
async function acceptFromWorkflow(entity: Entity, request: OperationRequest): Promise<void> {
  try {
    const { open } = await accept(entity, request);
    if (!open) await tellOfEnd(request);
  } catch (error) {
    log.warn('what a workflow asked for is not carried out', { kind: request.kind, error: String(error) });
    await tellOfEnd(request);
  }
}

/** Tells the workflow that asked for an operation, if one did, that it has ended. */
async function tellOfEnd({ tellWorkflowId, operationId }: Told): Promise<void> {
  if (tellWorkflowId === undefined) return;
  try {
    await getExternalWorkflowHandle(tellWorkflowId).signal(OPERATION_ENDED_SIGNAL, operationId);
  } catch (error) {
    log.info('the workflow that asked for an operation has ended', { operationId, error: String(error) });
  }
}

/** Records what a person says, and then does it, unless the operation is over by now. */
async function obey(entity: Entity, request: ControlRequest): Promise<void> {
  await handling(entity, async () => {
    await storeForCaller.recordControl({ ...placeOf(entity), request });
    entity.established = true;
    const { control, operationId } = request;
    if (entity.current?.operationId === operationId) entity.words.hear(control);
    else if (control === 'cancel') {
      const cancelled = entity.pending.filter((operation) => operation.operationId === operationId);
      entity.pending = entity.pending.filter((operation) => operation.operationId !== operationId);
      for (const operation of cancelled) await tellOfEnd(operation);
    }
  });
}

async function handling<Answer>(entity: Entity, work: () => Promise<Answer>): Promise<Answer> {
  entity.handling += 1;
  try {
    return await work();
  } catch (error) {
    throw unwrapped(error);
  } finally {
    entity.handling -= 1;
    entity.handled += 1;
  }
}

function placeOf({ input }: Entity) {
  const { deploymentId, organizationId, projectId } = input;
  return { deploymentId, organizationId, projectId };
}

/**
 * What the database said may be older than what is known here: one that was superseded since must not come back, as the
 * newest. Local activities run one at a time, so whatever is read later than it was recorded does not name it any more.
 */
function isKnown(entity: Entity, operationId: string): boolean {
  if (entity.superseding.has(operationId)) return true;
  return [entity.current, ...entity.pending].some((operation) => operation?.operationId === operationId);
}

/** An operation that was superseded, and by which. */
type Superseded = PendingOperation & { readonly byOperationId: string };

function enqueue(entity: Entity, operation: PendingOperation, supersedeRunning: boolean): readonly Superseded[] {
  const { line, superseded } = lineUp(entity.pending, operation);
  entity.pending = line;
  if (operation.kind === 'remove' || supersedeRunning) entity.words.cancel('cancelled for a newer operation');
  for (const { operationId } of superseded) entity.superseding.add(operationId);
  return superseded.map((one) => ({ ...one, byOperationId: operation.operationId }));
}

async function recordSuperseded(entity: Entity, superseded: readonly Superseded[]): Promise<void> {
  const { deploymentId } = entity.input;
  for (const { operationId, byOperationId, ...told } of superseded) {
    await store.supersedeOperation({ deploymentId, operationId, byOperationId });
    entity.superseding.delete(operationId);
    await tellOfEnd({ operationId, ...told });
  }
}

async function perform(entity: Entity, operation: PendingOperation): Promise<void> {
  const { deploymentId, timing } = entity.input;
  const scope = new CancellationScope();
  entity.current = operation;
  entity.words = listen(() => scope.cancel());
  await scope.run(() => rollOut({ deploymentId, operation, timing, words: entity.words }));
  entity.words = listen(() => undefined);
  entity.current = null;
  await tellOfEnd(operation);
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
