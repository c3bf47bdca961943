import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineSignal,
  defineUpdate,
  proxyLocalActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import {
  DRAIN_UPDATE,
  type DrainAccepted,
  type DrainActivities,
  type DrainInput,
  STOP_DRAIN_SIGNAL,
} from '../contracts/drain.ts';
import { stillStopping, unwrapped } from './failures.ts';
import { listenForEnds } from './move-deployments.ts';

const drainUpdate = defineUpdate<DrainAccepted>(DRAIN_UPDATE);
const stopSignal = defineSignal(STOP_DRAIN_SIGNAL);

/** Pauses after rounds in which nothing could be moved. After the last one the rest stays. */
const FRUITLESS_PAUSES_MS = [60_000, 300_000] as const;

/** Short writes. Without an end of their retries: a drain outlives any outage of the database. */
const records = proxyLocalActivities<DrainActivities>({
  startToCloseTimeout: '15s',
  retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' },
});

/**
 * Empties a node: takes it out of placement, and asks each deployment with replicas there to move them, so many at a
 * time. At most one per node, `drain/<node id>`.
 *
 * A move starts what replaces a replica before it takes that one's requests away, so a drain costs nobody a request. What
 * finds no room is asked again a few times; what has volumes goes with them or stays. Ends when nothing is left that can
 * be moved, or when it is told to stop; the node takes nothing new either way until it is uncordoned.
 */
export async function drainNode(input: DrainInput): Promise<void> {
  const { nodeId, drainId, actorUserId, reason, atOnce } = input;
  const along = input.withVolumes === true ? { withVolumes: true } : {};
  const ref = { nodeId, drainId };
  let begun = input.carried !== undefined;
  let refused: unknown;
  let stopped = false;
  setHandler(drainUpdate, async () => {
    if (begun && stopped) throw stillStopping(`the emptying of ${nodeId}`);
    await condition(() => begun || refused !== undefined);
    if (refused !== undefined) throw unwrapped(refused);
    return { drainId };
  });
  setHandler(stopSignal, () => {
    stopped = true;
  });
  const moves = listenForEnds({ reason: `node ${nodeId} is drained`, isOver: () => stopped });
  try {
    if (!begun && !(await records.beginDrain({ nodeId, drainId, actorUserId, reason, ...along })).open) stopped = true;
    begun = true;
  } catch (error) {
    refused = error;
    await condition(allHandlersFinished);
    return;
  }
  let fruitless = input.carried?.fruitless ?? 0;
  let left = stopped ? [] : await records.listMovable({ nodeId, ...along });
  while (left.length > 0 && !stopped && !workflowInfo().continueAsNewSuggested) {
    const move = { from: nodeId, to: null, replicas: null, ...(along.withVolumes ? { volumes: true } : {}) };
    const wanted = left.map((deploymentId) => ({ deploymentId, move }));
    await moves.run(wanted, { atOnce, onEnd: () => records.touchDrain(ref) });
    const now = await records.listMovable({ nodeId, ...along });
    const gone = left.filter((deploymentId) => !now.includes(deploymentId)).length;
    left = now;
    if (gone > 0 || left.length === 0) continue;
    const pauseMs = FRUITLESS_PAUSES_MS[fruitless];
    if (pauseMs === undefined) break;
    fruitless += 1;
    await condition(() => stopped, pauseMs);
  }
  const goesOn = left.length > 0 && !stopped && workflowInfo().continueAsNewSuggested;
  if (!goesOn) await records.endDrain({ ...ref, state: stopped ? 'stopped' : 'done' });
  await condition(allHandlersFinished);
  if (goesOn) await continueAsNew<typeof drainNode>({ ...input, carried: { fruitless } });
}
