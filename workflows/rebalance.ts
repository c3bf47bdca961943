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
  REBALANCE_UPDATE,
  type RebalanceAccepted,
  type RebalanceActivities,
  type RebalanceInput,
  STOP_REBALANCE_SIGNAL,
} from '../contracts/rebalance.ts';
import { stillStopping } from './failures.ts';
import { listenForEnds } from './move-deployments.ts';

const rebalanceUpdate = defineUpdate<RebalanceAccepted>(REBALANCE_UPDATE);
const stopSignal = defineSignal(STOP_REBALANCE_SIGNAL);

/** Short writes. Without an end of their retries: a rebalance outlives any outage of the database. */
const records = proxyLocalActivities<RebalanceActivities>({
  startToCloseTimeout: '15s',
  retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' },
});

/**
 * Carries out the moves of a plan, one after the other, since each counts on the room that those before it have made. At
 * most one at a time, `rebalance`.
 *
 * A move that is no longer possible fails by itself, without harm, and the next one follows. Ends when all moves have
 * ended, or when it is told to stop.
 */
export async function rebalance(input: RebalanceInput): Promise<void> {
  const { rebalanceId, actorUserId, moves } = input;
  const operationIds = [...(input.carried?.operationIds ?? [])];
  let begun = input.carried !== undefined;
  let stopped = false;
  setHandler(rebalanceUpdate, async () => {
    if (begun && stopped) throw stillStopping('the rebalance');
    await condition(() => begun);
    return { rebalanceId };
  });
  setHandler(stopSignal, () => {
    stopped = true;
  });
  const asked = listenForEnds({ reason: 'the nodes are rebalanced', isOver: () => stopped });
  if (!begun) await records.beginRebalance({ rebalanceId, actorUserId, planned: moves.length });
  begun = true;
  const onEnd = async (operationId: string): Promise<void> => {
    operationIds.push(operationId);
    await records.recordEnded({ rebalanceId, ended: operationIds.length });
  };
  while (operationIds.length < moves.length && !stopped && !workflowInfo().continueAsNewSuggested) {
    await asked.run(moves.slice(operationIds.length, operationIds.length + 1), { atOnce: 1, onEnd });
  }
  const goesOn = operationIds.length < moves.length && !stopped;
  if (!goesOn) await records.endRebalance({ rebalanceId, state: stopped ? 'stopped' : 'done', operationIds });
  await condition(allHandlersFinished);
  if (goesOn) await continueAsNew<typeof rebalance>({ ...input, carried: { operationIds } });
}
