import { ActivityCancellationType, proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { NodeRetentionActivities } from '../contracts/node-retention.ts';
import type { OrphanActivities, OrphanStore } from '../contracts/orphans.ts';
import type { ContextActivities, RetentionStore, RetentionSweeps, RetentionTiming } from '../contracts/retention.ts';
import { CONTEXTS_QUEUE, CONTROL_QUEUE, nodeQueue } from '../contracts/task-queues.ts';
import { oneAtATime } from './one-at-a-time.ts';

/** Short reads and writes of the control database. Without an end of their retries: a run outlives any outage of it. */
export const retentionStore = oneAtATime(
  proxyLocalActivities<RetentionStore & OrphanStore>({
    startToCloseTimeout: '30s',
    retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '10s' },
  }),
);

/** Tries of a piece of work: what a frozen or broken host does not do in three, it does the next night. */
const ATTEMPTS = 3;

/** Pages of the control database, tried until it is back. */
export function sweeps({ workMs, heartbeatMs }: RetentionTiming): RetentionSweeps {
  return proxyActivities<RetentionSweeps>({
    taskQueue: CONTROL_QUEUE,
    startToCloseTimeout: workMs,
    heartbeatTimeout: heartbeatMs,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s', maximumAttempts: 100 },
  });
}

/** Pages of files, on whoever has them. */
export function onContexts(timing: RetentionTiming): ContextActivities {
  return proxyActivities<ContextActivities>({ taskQueue: CONTEXTS_QUEUE, ...bounded(timing) });
}

/** Work on one node's images, on its own queue. */
export function retainingOn(nodeId: string, timing: RetentionTiming): NodeRetentionActivities {
  return proxyActivities<NodeRetentionActivities>({ taskQueue: nodeQueue(nodeId), ...bounded(timing) });
}

/**
 * Work on what nobody owns on one node, on its own queue. It asks the control plane, which may be away for a restart: so it
 * is tried more often.
 */
export function orphansOn(nodeId: string, timing: RetentionTiming): OrphanActivities {
  const { retry, ...bounds } = bounded(timing);
  return proxyActivities<OrphanActivities>({
    taskQueue: nodeQueue(nodeId),
    ...bounds,
    retry: { ...retry, maximumAttempts: 4 * ATTEMPTS },
  });
}

/** However it fails, silence included, the wait for it has an end. */
function bounded({ pickUpMs, workMs, heartbeatMs }: RetentionTiming) {
  return {
    scheduleToStartTimeout: pickUpMs,
    startToCloseTimeout: workMs,
    scheduleToCloseTimeout: pickUpMs + workMs,
    heartbeatTimeout: heartbeatMs,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '10s', maximumAttempts: ATTEMPTS },
  };
}
