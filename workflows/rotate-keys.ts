import {
  ActivityCancellationType,
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  defineUpdate,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { type KeyActivities, ROTATE_UPDATE, type RotationAccepted, type RotationInput } from '../contracts/keys.ts';
import type { OperationFailure } from '../contracts/rollout.ts';
import { CONTROL_QUEUE } from '../contracts/task-queues.ts';
import { describeRefused, FIRST_PASS, nextRotationStep, type RotationPass } from '../domain/key-rotation.ts';
import { toOperationFailure } from './failures.ts';

const rotateUpdate = defineUpdate<RotationAccepted>(ROTATE_UPDATE);

/** Short writes. Without an end of their retries: a rotation outlives any outage of the database. */
const records = proxyLocalActivities<KeyActivities>({
  startToCloseTimeout: '15s',
  retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' },
});

/** Far more than some thousand rows take; a process that hangs is noticed by its heartbeats. */
const REWRAP_TIMEOUT = '10m';

/**
 * Wraps every organization's data keys by one master key, so that another one can go. At most one at a time,
 * `keys/rotation`.
 *
 * It goes over all data keys in order, again until a whole pass finds nothing to do, and ends with its outcome
 * recorded. Whatever dies in the middle, what was wrapped stays and the rest follows: nothing is unreadable at any
 * moment, since both master keys open what they wrap. Cancelling it leaves the rest as it was. The place in the order
 * survives continue-as-new.
 */
export async function rotateKeys(input: RotationInput): Promise<void> {
  let begun = input.carried !== undefined;
  setHandler(rotateUpdate, async () => {
    await condition(() => begun);
    return { rotationId: input.rotationId };
  });
  const { rotationId } = input;
  const isOpen = begun || (await records.beginRotation(beginningOf(input))).open;
  begun = true;
  let pass: RotationPass | undefined = isOpen ? (input.carried ?? FIRST_PASS) : undefined;
  while (pass && !workflowInfo().continueAsNewSuggested) {
    const step: NextStep = await rewrap(input, pass);
    if ('failure' in step) await CancellationScope.nonCancellable(() => records.endRotation({ rotationId, ...step }));
    pass = 'pass' in step ? step.pass : undefined;
  }
  await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
  if (pass) await continueAsNew<typeof rotateKeys>({ ...input, carried: pass });
}

function beginningOf({ rotationId, masterKeyId, actorUserId }: RotationInput) {
  return { rotationId, masterKeyId, actorUserId };
}

type NextStep = { readonly pass: RotationPass } | { readonly failure: OperationFailure | null };

async function rewrap({ rotationId, masterKeyId, heartbeatMs }: RotationInput, pass: RotationPass): Promise<NextStep> {
  const { rewrapKeys } = proxyActivities<KeyActivities>({
    taskQueue: CONTROL_QUEUE,
    startToCloseTimeout: REWRAP_TIMEOUT,
    heartbeatTimeout: heartbeatMs,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '10s' },
  });
  try {
    const step = nextRotationStep(pass, await rewrapKeys({ rotationId, masterKeyId, after: pass.after }));
    if (step.kind === 'rewrap') return { pass: step.pass };
    return { failure: step.kind === 'done' ? null : failureOf(describeRefused(step.refused)) };
  } catch (error) {
    return { failure: toOperationFailure(error, 'the rotation was cancelled') };
  }
}

function failureOf(message: string): OperationFailure {
  const hint = 'Put the missing master keys back behind the first line of the file, and rotate again.';
  return { code: 'CONFIGURATION', message, hint };
}
