import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import type { AlertActivities, AlertTiming, EvaluateInput, ObserverActivities } from '../contracts/alerts.ts';
import { CONTROL_QUEUE, OBSERVERS_QUEUE } from '../contracts/task-queues.ts';

/**
 * Evaluates all alert rules, once. The schedule starts one each 30 s, `evaluate-alerts-<time>`, and skips a time at which
 * the last one goes on.
 *
 * First somebody looks at streamers and certificates; that they could not be looked at only means that nothing new is
 * known of them. Then the rules are evaluated and the outbox is handed out, whatever the evaluation came to: what was put
 * there before is not lost with it. Keeps nothing, so its history is the same few events however large the cluster is.
 */
export async function evaluateAlerts({ timing }: EvaluateInput): Promise<void> {
  const observers = observing(timing);
  await Promise.all([quietly(observers.observeStreamers()), quietly(observers.observeCertificates())]);
  const { evaluateAlerts: evaluate, dispatchNotifications } = evaluating(timing);
  try {
    await evaluate();
  } finally {
    await dispatchNotifications();
  }
}

/** However a look fails, it says nothing, and the age of what is known says that. */
async function quietly(look: Promise<unknown>): Promise<void> {
  await look.catch(() => undefined);
}

function observing({ observeMs }: AlertTiming): ObserverActivities {
  return proxyActivities<ObserverActivities>({
    taskQueue: OBSERVERS_QUEUE,
    scheduleToCloseTimeout: observeMs,
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    retry: { maximumAttempts: 1 },
  });
}

/** Reads and short writes: an orchestrator that dies is noticed by its silence, and another one begins anew. */
function evaluating({ evaluateMs }: AlertTiming): AlertActivities {
  return proxyActivities<AlertActivities>({
    taskQueue: CONTROL_QUEUE,
    startToCloseTimeout: evaluateMs,
    scheduleToCloseTimeout: 2 * evaluateMs,
    heartbeatTimeout: evaluateMs / 2,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '5s', maximumAttempts: 3 },
  });
}
