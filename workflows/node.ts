import {
  ActivityCancellationType,
  allHandlersFinished,
  condition,
  continueAsNew,
  defineSignal,
  patched,
  proxyActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { NodeActivities, NodeStateChange } from '../contracts/activities.ts';
import { ENROLLED_SIGNAL, type NodeInput } from '../contracts/node.ts';
import { nodeQueue } from '../contracts/task-queues.ts';
import { store } from './activity-stubs.ts';

/** Patch of November 2026: until then a node whose process had been restarted counted as lost for a moment all the same. */
const BACK_BEFORE_LOST = '2026-11-back-before-lost';

const enrolledSignal = defineSignal(ENROLLED_SIGNAL);

/**
 * Watches one node. Exactly one per enrolled node, `node/<node id>`, for as long as it is enrolled.
 *
 * A long activity on the node's own queue heartbeats; its silence is how the node's death is noticed, its result how a
 * change of its Docker daemon is. What it finds is recorded; a lost node is tried again after a pause, or as soon as
 * it enrols. One that has enrolled anew before its silence was noticed never counts as lost. The last known state survives continue-as-new.
 */
export async function node(input: NodeInput): Promise<void> {
  let known: NodeStateChange['state'] = input.carried?.known ?? 'lost';
  let enrolments = 0;
  setHandler(enrolledSignal, () => {
    enrolments += 1;
  });
  while (!workflowInfo().continueAsNewSuggested) {
    const seen = enrolments;
    const found = await watch(input, known);
    // Silence is noticed after the node's process may have been back for long: then it is looked at before it is judged.
    if (found.state === 'lost' && enrolments > seen && patched(BACK_BEFORE_LOST)) continue;
    if (found.state !== known) await store.recordNodeState({ nodeId: input.nodeId, ...found });
    known = found.state;
    if (known === 'lost') await condition(() => enrolments > seen, input.retryMs);
  }
  await condition(allHandlersFinished);
  await continueAsNew<typeof node>({ ...input, carried: { known } });
}

async function watch(input: NodeInput, known: NodeStateChange['state']): Promise<Omit<NodeStateChange, 'nodeId'>> {
  const { watchNode } = proxyActivities<NodeActivities>({
    taskQueue: nodeQueue(input.nodeId),
    scheduleToStartTimeout: input.heartbeatMs,
    startToCloseTimeout: input.watchMs + 6 * input.heartbeatMs,
    heartbeatTimeout: input.heartbeatMs,
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    retry: { maximumAttempts: 1 },
  });
  try {
    return await watchNode({ known, maxMs: input.watchMs });
  } catch {
    // Any failure of the watch means the same: nothing is known of the node but that it does not answer.
    return { state: 'lost', reason: 'the node gave no sign of life' };
  }
}
