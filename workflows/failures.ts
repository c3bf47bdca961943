import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  isCancellation,
  TimeoutFailure,
} from '@temporalio/workflow';
import type { OperationFailure } from '../contracts/rollout.ts';
import { type ErrorCode, toErrorCode } from '../domain/errors.ts';

/**
 * What an operation is recorded to have failed of: the innermost cause that this platform knows.
 *
 * A node that is silent shows as a timeout of its activity, whatever the reason.
 */
export function toOperationFailure(error: unknown, cancelReason = ''): OperationFailure {
  if (isCancellation(error) || wasAskedToCancel(error)) {
    return { code: 'CANCELLED', message: cancelReason || 'cancelled before it reached its goal', hint: '' };
  }
  if (error instanceof ActivityFailure && error.cause instanceof TimeoutFailure) return silentNode(error);
  if (error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) return toOperationFailure(error.cause);
  if (error instanceof ApplicationFailure) {
    const details = error.details?.[0] as { hint?: string } | undefined;
    return { code: toErrorCode(error.type) ?? 'INTERNAL', message: error.message, hint: details?.hint ?? '' };
  }
  return { code: 'INTERNAL', message: 'internal error', hint: 'Look at the workflow of the deployment in Temporal.' };
}

/** A step that would have been tried again, had nobody cancelled it meanwhile: what it failed of decides nothing. */
function wasAskedToCancel(error: unknown): boolean {
  return error instanceof ActivityFailure && error.retryState === 'CANCEL_REQUESTED';
}

function silentNode(failure: ActivityFailure): OperationFailure {
  const timeout = failure.cause instanceof TimeoutFailure ? failure.cause.timeoutType : undefined;
  const found = timeout === 'SCHEDULE_TO_START' ? 'was not picked up in time' : 'gave no sign of life in time';
  return {
    code: 'NODE_UNAVAILABLE',
    message: `the step ${failure.activityType} ${found}`,
    hint: 'Check the node with "obiente nodes", then deploy again.',
  };
}

/** Whether an activity failed with this code. */
export function isFrom(error: unknown, code: ErrorCode): boolean {
  const { cause } = error instanceof ActivityFailure ? error : {};
  return cause instanceof ApplicationFailure && cause.type === code;
}

/** What replaces the old replicas died before those went. */
export function noLongerHealthy(replicaIds: readonly string[]): ApplicationFailure {
  const ids = replicaIds.slice(0, 5).join(', ');
  const others = replicaIds.length > 5 ? ` and ${replicaIds.length - 5} more` : '';
  return ApplicationFailure.create({
    type: 'REPLICA_UNHEALTHY',
    message: `no longer healthy after requests reached them: ${ids}${others}`,
    nonRetryable: true,
    details: [{ hint: 'Look at the logs of these replicas, mend the application and deploy again.', field: '' }],
  });
}

/** What was told to stop finishes what it began; whoever asks for it anew meanwhile has to ask again. */
export function stillStopping(what: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'WORKFLOWS_UNAVAILABLE',
    message: `${what} was stopped, and what it was moving is not finished yet`,
    nonRetryable: true,
    details: [{ hint: 'Ask again in a moment.', field: '' }],
  });
}

/** The failure that a caller of an update gets: the activity's own one, without the wrapping. */
export function unwrapped(error: unknown): unknown {
  return error instanceof ActivityFailure && error.cause instanceof ApplicationFailure ? error.cause : error;
}
