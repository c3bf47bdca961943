import {
  ActivityCancellationType,
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  proxyActivities,
} from '@temporalio/workflow';
import type { DeliverInput, DeliveryActivities, DeliveryTiming } from '../contracts/alerts.ts';
import { CONTROL_QUEUE } from '../contracts/task-queues.ts';

/**
 * Delivers one notification: `notification/<id>`, one each, whoever asks for it. Ends when the receiver has taken it, or
 * after a day of attempts, and then the failure is recorded where people see it. Cancelling it gives it up.
 */
export async function deliverNotification({ notificationId, timing }: DeliverInput): Promise<void> {
  try {
    await delivering(timing).deliver({ notificationId });
  } catch (error) {
    const reason = reasonOf(error);
    await CancellationScope.nonCancellable(() => recording().giveUpDelivery({ notificationId, reason }));
    if (isCancellation(error)) throw error;
  }
}

/** The words of the last attempt; the database has them already, unless no attempt was ever made. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof ApplicationFailure ? cause.message : 'nobody was there to deliver it in time';
}

function delivering({ firstPauseMs, longestPauseMs, giveUpMs, attemptMs }: DeliveryTiming) {
  return proxyActivities<Pick<DeliveryActivities, 'deliver'>>({
    taskQueue: CONTROL_QUEUE,
    startToCloseTimeout: attemptMs,
    scheduleToCloseTimeout: giveUpMs,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: firstPauseMs, backoffCoefficient: 2, maximumInterval: longestPauseMs },
  });
}

/** Without an end of its retries: a failure that nobody sees is none that was told. */
function recording() {
  return proxyActivities<Pick<DeliveryActivities, 'giveUpDelivery'>>({
    taskQueue: CONTROL_QUEUE,
    startToCloseTimeout: '10s',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '1m' },
  });
}
