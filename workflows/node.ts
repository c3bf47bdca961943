import {
  ActivityCancellationType,
  allHandlersFinished,
  condition,
  continueAsNew,
  defineSignal,
  log,
  patched,
  proxyActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import {
  DOOMED_SIGNAL,
  ENROLLED_SIGNAL,
  type KnownDisk,
  type NodeInput,
  type NodeStateChange,
} from '../contracts/node.ts';
import type { NodeActivities } from '../contracts/node-activities.ts';
import { nodeQueue } from '../contracts/task-queues.ts';
import { DEFAULT_TIMING } from '../contracts/timing.ts';
import { onNode, onStoppingNode, store } from './activity-stubs.ts';
import { knowDisk, UNKNOWN_DISK } from './clean-node.ts';
import { healWhenDue, lostNow } from './heal-node.ts';

const enrolledSignal = defineSignal(ENROLLED_SIGNAL);
const doomedSignal = defineSignal(DOOMED_SIGNAL);

/**
 * Watches one node. Exactly one per enrolled node, `node/<node id>`, for as long as it is enrolled.
 *
 * A long activity on the node's own queue heartbeats; its silence is how the node's death is noticed, its result how a
 * change of its Docker daemon is. What it finds is recorded; a lost node is tried again after a pause, or as soon as
 * it enrols. One that has enrolled anew before its silence was noticed never counts as lost. A node that returns is rid of
 * what was to be removed while it did not answer before it counts as ready, and, when told, at once of what somebody deletes. What a node had
 * that stays lost is replaced elsewhere. A node whose disk is nearly full takes no new replicas, and is cleaned before. The
 * last known state, of the disk too, survives continue-as-new.
 */
export async function node(input: NodeInput): Promise<void> {
  let known: NodeStateChange['state'] = input.carried?.known ?? 'lost';
  let loss = input.carried?.loss;
  let disk = input.carried?.disk ?? UNKNOWN_DISK;
  let enrolments = 0;
  setHandler(enrolledSignal, () => {
    enrolments += 1;
  });
  setHandler(doomedSignal, async () => {
    if (known === 'ready') await removeDoomed(input.nodeId);
  });
  while (!workflowInfo().continueAsNewSuggested) {
    const seen = enrolments;
    const found = await watch(input, known, disk);
    // Silence is noticed after the node's process may have been back for long: then it is looked at before it is judged.
    if (found.state === 'lost' && enrolments > seen) continue;
    // What was replaced elsewhere goes before anything of the node gets requests again.
    if (known === 'lost' && found.state === 'ready' && patched('cleans-first')) await removeDoomed(input.nodeId);
    const hasOtherDisk = found.disk !== undefined && found.disk.notice !== disk.notice;
    if (found.state !== known || hasOtherDisk) await store.recordNodeState({ nodeId: input.nodeId, ...found });
    if (found.state !== known) loss = found.state === 'lost' ? lostNow() : undefined;
    known = found.state;
    if (found.disk) disk = await knowDisk(input.nodeId, disk, found.disk);
    if (loss && patched('heals')) loss = await healWhenDue(input.nodeId, loss);
    if (known === 'lost') await condition(() => enrolments > seen, input.retryMs);
    if (known === 'ready') await removeDoomed(input.nodeId);
  }
  await condition(allHandlersFinished);
  await continueAsNew<typeof node>({ ...input, carried: { known, disk, ...(loss ? { loss } : {}) } });
}

async function watch(
  input: NodeInput,
  known: NodeStateChange['state'],
  disk: KnownDisk,
): Promise<Omit<NodeStateChange, 'nodeId'>> {
  const { watchNode } = proxyActivities<NodeActivities>({
    taskQueue: nodeQueue(input.nodeId),
    scheduleToStartTimeout: input.heartbeatMs,
    startToCloseTimeout: input.watchMs + 6 * input.heartbeatMs,
    heartbeatTimeout: input.heartbeatMs,
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    retry: { maximumAttempts: 1 },
  });
  try {
    return await watchNode({ known, maxMs: input.watchMs, knownDisk: disk.level });
  } catch {
    // Any failure of the watch means the same: nothing is known of the node but that it does not answer.
    return { state: 'lost', reason: 'the node gave no sign of life' };
  }
}

/** What fails is tried again after the next watch. */
async function removeDoomed(nodeId: string): Promise<void> {
  const doomed = await store.listDoomed({ nodeId });
  const { volumes: doomedVolumes = [], snapshots: doomedSnapshots = [] } = doomed;
  const data = doomedVolumes.length + doomedSnapshots.length;
  if (doomed.replicas.length + doomed.deployments.length + data === 0) return;
  const { stopGraceMs } = DEFAULT_TIMING;
  const timing = { ...DEFAULT_TIMING, nodeWorkMs: 60_000 };
  const replicas = await succeeding(doomed.replicas, (replica) =>
    onStoppingNode(nodeId, timing).removeReplica({ ...replica, stopGraceMs }),
  );
  const deployments = await succeeding(doomed.deployments, (deployment) =>
    onNode(nodeId, timing).removeLeftovers(deployment),
  );
  const volumes = await succeeding(doomedVolumes, (volume) => onNode(nodeId, timing).removeVolume(volume));
  const snapshots = await succeeding(doomedSnapshots, (snapshot) => onNode(nodeId, timing).dropSnapshot(snapshot));
  await store.forgetDoomed({ nodeId, replicas, deployments, ...(data > 0 ? { volumes, snapshots } : {}) });
  const counts = {
    replicas: replicas.length,
    deployments: deployments.length,
    data: volumes.length + snapshots.length,
  };
  log.info('removed what was left on the node', counts);
}

async function succeeding<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<Item[]> {
  const outcomes = await Promise.allSettled(items.map(work));
  return items.filter((_, index) => outcomes[index]?.status === 'fulfilled');
}
