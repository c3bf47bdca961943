import {
  ActivityCancellationType,
  proxyActivities,
  proxyLocalActivities,
  type RetryPolicy,
} from '@temporalio/workflow';
import type { IngressActivities, StoreActivities } from '../contracts/activities.ts';
import type { BuildActivities, NodeActivities } from '../contracts/node-activities.ts';
import { buildQueue, CONTROL_QUEUE, nodeQueue } from '../contracts/task-queues.ts';
import { LOOK_SILENCE_MS, type RolloutTiming } from '../contracts/timing.ts';
import type { VolumeActivities } from '../contracts/volumes.ts';
import { COMPOSE_LIMITS } from '../domain/compose/application.ts';
import { oneAtATime } from './one-at-a-time.ts';

/**
 * Database writes, as local activities: they avoid a round through the server. Without an end of their retries, since
 * an operation outlives any outage of the database; refusals are final by their code.
 */
export const store = oneAtATime(
  proxyLocalActivities<StoreActivities>({
    startToCloseTimeout: '15s',
    retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' },
  }),
);

/** The same writes on behalf of a caller who waits for the answer of an update. */
export const storeForCaller = oneAtATime(
  proxyLocalActivities<StoreActivities>({
    startToCloseTimeout: '5s',
    scheduleToCloseTimeout: '20s',
    retry: { initialInterval: '100ms', backoffCoefficient: 2, maximumInterval: '2s' },
  }),
);

/** Effects on one node, on its own queue. Extra time is what the work itself may take beyond `nodeWorkMs`. */
export function onNode(nodeId: string, timing: RolloutTiming, extraMs = 0): NodeActivities {
  return proxyActivities<NodeActivities>({
    taskQueue: nodeQueue(nodeId),
    scheduleToStartTimeout: timing.nodePickUpMs,
    startToCloseTimeout: timing.nodeWorkMs + extraMs,
    scheduleToCloseTimeout: timing.nodePickUpMs + timing.nodeWorkMs + extraMs,
    heartbeatTimeout: timing.heartbeatMs,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '5s' },
  });
}

/**
 * The same for what waits for an application to stop. It may say how long that takes; a node that does not answer is
 * noticed by its heartbeats long before.
 */
export function onStoppingNode(nodeId: string, timing: RolloutTiming): NodeActivities {
  return onNode(nodeId, timing, Math.max(timing.stopGraceMs, COMPOSE_LIMITS.stopGracePeriodMs));
}

/** Terabytes take hours; a process that hangs is noticed by its heartbeats, and one that died is tried again. */
export function onData(
  nodeId: string,
  { nodePickUpMs, heartbeatMs }: Pick<RolloutTiming, 'nodePickUpMs' | 'heartbeatMs'>,
): VolumeActivities {
  return proxyActivities<VolumeActivities>({
    taskQueue: nodeQueue(nodeId),
    scheduleToStartTimeout: nodePickUpMs,
    startToCloseTimeout: '24h',
    heartbeatTimeout: heartbeatMs,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s', maximumAttempts: 5 },
  });
}

/**
 * Looks a ref up from the node that will build it. Tried again for as long as a Git server may be away; on the node's own
 * queue, so that it does not wait behind a build.
 */
export function lookingUp(nodeId: string, timing: RolloutTiming): Pick<NodeActivities, 'resolveSource'> {
  return proxyActivities<NodeActivities>({
    taskQueue: nodeQueue(nodeId),
    scheduleToStartTimeout: timing.nodePickUpMs,
    startToCloseTimeout: Math.min(timing.sourceMs, LOOK_UP_MS),
    scheduleToCloseTimeout: timing.sourceMs,
    heartbeatTimeout: timing.heartbeatMs,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '2s', backoffCoefficient: 2, maximumInterval: '30s' },
  });
}

/** More than the minute that the adapter gives a server to list its refs. */
const LOOK_UP_MS = 90_000;

/** A build whose node, daemon or API went away under it, and each may do so during an upgrade. */
const BUILDING = { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '10s', maximumAttempts: 8 };

/** A Git server that breaks off is asked again for some three minutes. */
export const FETCHING = { initialInterval: '2s', backoffCoefficient: 2, maximumInterval: '1m', maximumAttempts: 8 };

/**
 * Image builds on one node, apart from its other work. The node takes each at once and lets it wait for a place there,
 * so one that is not picked up has no node. A build that fails fails at once.
 */
export function onBuilder(nodeId: string, timing: RolloutTiming, retry: RetryPolicy = BUILDING): BuildActivities {
  return proxyActivities<BuildActivities>({
    taskQueue: buildQueue(nodeId),
    scheduleToStartTimeout: timing.nodePickUpMs,
    startToCloseTimeout: timing.buildMs,
    scheduleToCloseTimeout: 2 * timing.buildMs,
    heartbeatTimeout: timing.heartbeatMs,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry,
  });
}

/**
 * Looks at the ingress until it serves, from the control queue. A look changes nothing, so an orchestrator that is silent
 * for less long than elsewhere counts as dead, and the next one looks.
 */
export function atIngress(timing: RolloutTiming): Pick<IngressActivities, 'awaitIngress'> {
  return proxyActivities<IngressActivities>({
    ...onControl(timing.ingressMs),
    heartbeatTimeout: Math.min(timing.heartbeatMs, LOOK_SILENCE_MS),
  });
}

/** Watches how the ingress answers. What was seen is lost with its attempt, so that one is not given up early. */
export function watchingIngress(timing: RolloutTiming, watchMs: number): Pick<IngressActivities, 'watchErrors'> {
  return proxyActivities<IngressActivities>({
    ...onControl(timing.ingressMs + watchMs),
    heartbeatTimeout: timing.heartbeatMs,
  });
}

function onControl(workMs: number) {
  return {
    taskQueue: CONTROL_QUEUE,
    startToCloseTimeout: workMs,
    scheduleToCloseTimeout: 2 * workMs,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '200ms', maximumInterval: '5s' },
  } as const;
}
