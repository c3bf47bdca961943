import type { OperationRef, StoreInput } from '../../contracts/activities.ts';
import type { Control, ControlRequest } from '../../contracts/deployment.ts';
import { DomainError, notFound } from '../../domain/errors.ts';
import { isOpen, type OperationState } from '../../domain/operation.ts';
import type { Database } from './database.ts';
import { endOperation, getOperation, lockExisting } from './deployment-lock.ts';
import { type EventKind, type NewEvent, recordEvents } from './events.ts';
import { claimMutation } from './mutation-keys.ts';

const EVENT: Record<Control, EventKind> = {
  cancel: 'operation.cancel_requested',
  pause: 'operation.pause_requested',
  resume: 'operation.resumed',
  approve: 'operation.approved',
};

const WORDS: Record<Control, string> = {
  cancel: 'a person asked to cancel it',
  pause: 'a person asked it to pause before its next step',
  resume: 'a person let it go on',
  approve: 'a person approved it',
};

/**
 * Records what a person says about an operation. Cancelling one that still waits in line ends it here.
 *
 * @throws OPERATION_ENDED, NOT_FOUND, IDEMPOTENCY_CONFLICT.
 */
export async function recordControl(db: Database, input: StoreInput<ControlRequest>): Promise<void> {
  const { deploymentId, organizationId, request } = input;
  const { control, operationId, idempotencyKey, requestHash, actorUserId } = request;
  await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    const claim = { scope: organizationId, resourceId: operationId, idempotencyKey, requestHash };
    if (!(await claimMutation(tx, claim)).isFirst) return;
    if (deployment.organizationId !== organizationId) throw notFound('operation');
    const operation = await getOperation(tx, operationId);
    if (!isOpen(operation.state)) throw ended(operation.state);
    if (operation.kind === 'remove') throw irrevocable(control);
    if (control !== 'cancel' && operation.state === 'queued') throw waiting(control);
    const said: NewEvent = { kind: EVENT[control], message: WORDS[control], operationId, actorUserId };
    const isOver = control === 'cancel' && operation.state === 'queued';
    if (isOver) await endOperation(tx, operationId, { state: 'cancelled' });
    const over: NewEvent = { kind: 'operation.cancelled', message: 'cancelled before it began', operationId };
    await recordEvents(tx, deployment, isOver ? [said, over] : [said]);
  });
}

/** Records that an operation waits for a person, or goes on. */
export async function recordWaiting(
  db: Database,
  { deploymentId, operationId, waitsFor }: OperationRef & { readonly waitsFor: string },
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    const isWaiting = waitsFor !== '';
    const changed = await tx
      .updateTable('operations')
      .set({ state: isWaiting ? 'waiting' : 'running', waits_for: waitsFor })
      .where('id', '=', operationId)
      .where('state', '=', isWaiting ? 'running' : 'waiting')
      .returning('id')
      .executeTakeFirst();
    if (!changed) return;
    const message = isWaiting ? `waits: ${waitsFor}` : 'goes on';
    await recordEvents(tx, deployment, [
      { kind: isWaiting ? 'operation.waiting' : 'operation.continued', message, operationId },
    ]);
  });
}

/** Refuses what is over. */
export function ended(state: OperationState): DomainError {
  return new DomainError('OPERATION_ENDED', `the operation is over already: it ${WAS[state]}`, {
    hint: 'Look at it with "obiente operation <id>".',
  });
}

const WAS: Record<OperationState, string> = {
  queued: 'is queued',
  running: 'is running',
  waiting: 'is waiting',
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'was cancelled',
  superseded: 'was superseded by a newer one',
};

function irrevocable(control: Control): DomainError {
  return new DomainError('OPERATION_ENDED', `cannot ${control} a removal: what has begun to go is removed to its end`);
}

function waiting(control: Control): DomainError {
  return new DomainError('OPERATION_ENDED', `cannot ${control} an operation that has not begun`, {
    hint: 'Wait until it is running, or cancel it.',
  });
}
