import {
  ActivityCancellationType,
  log,
  patched,
  proxyActivities,
  proxyLocalActivities,
  sleep,
} from '@temporalio/workflow';
import type {
  LookActivities,
  NodeLook,
  ReconcileInput,
  ReconcileStore,
  ReconcileTiming,
} from '../contracts/reconcile.ts';
import { nodeQueue } from '../contracts/task-queues.ts';
import { expectedContainers, planReconcile, type Suspicion } from '../domain/reconcile.ts';
import { askToHeal } from './ask-deployment.ts';
import { oneAtATime } from './one-at-a-time.ts';

/** Short reads and writes of the control database. A database that is away is tried again by the next reconciliation. */
const records = oneAtATime(
  proxyLocalActivities<ReconcileStore>({
    startToCloseTimeout: '10s',
    retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '5s', maximumAttempts: 5 },
  }),
);

/** Looks at a node in one reconciliation: what looks wrong is looked at once more, after its records were read anew. */
const LOOKS = 2;

/**
 * Compares what is recorded with what every node runs, once. The schedule starts one each 30 s, `reconcile-<time>`, and
 * skips a time at which the last one goes on.
 *
 * Nodes are asked side by side, each with its own deadline: a silent one costs that and nobody else. What a node costs is
 * two looks at most, whatever is found. What is gone is replaced by its deployment, which is also asked where there is less
 * than is wanted; what is strange is recorded; nothing is removed. Keeps nothing: each reconciliation begins anew, so its history is bounded by the number of nodes.
 */
export async function reconcile({ timing }: ReconcileInput): Promise<void> {
  for (let afterId: string | null = ''; afterId !== null; ) {
    const { nodeIds, next }: { nodeIds: readonly string[]; next: string | null } = await records.listReconcileNodes({
      afterId,
    });
    await Promise.all(nodeIds.map((nodeId) => reconcileNode(nodeId, timing)));
    afterId = next;
  }
  if (patched('heals-short')) await healShort();
}

/** A way back that found no place left them so; there may be one by now. */
async function healShort(): Promise<void> {
  const short = await records.listShort();
  await Promise.all(short.map((id) => askToHeal(id, 'fewer replicas are there than are wanted')));
}

async function reconcileNode(nodeId: string, timing: ReconcileTiming): Promise<void> {
  let suspicions: Readonly<Record<string, Suspicion>> = {};
  for (let look = 1; look <= LOOKS; look += 1) {
    const recorded = await records.readRecorded({ nodeId });
    const { instance, sight } = await lookAt(nodeId, expectedContainers(recorded), timing);
    const plan = planReconcile({ ...recorded, instance, sight, suspicions });
    if (plan.findings.length > 0) {
      log.warn('a node does not run what is recorded', { nodeId, findings: plan.findings.slice(0, 20) });
      const toHeal = await records.recordFindings({ nodeId, findings: plan.findings });
      await Promise.all(toHeal.map((id) => askToHeal(id, `a container was removed from ${nodeId} by somebody else`)));
    }
    suspicions = plan.suspicions;
    if (Object.keys(suspicions).length === 0) return;
    if (look < LOOKS) await sleep(timing.againMs);
  }
}

/** However a look fails, it says nothing, and nothing follows from that. */
async function lookAt(nodeId: string, expected: readonly string[], { lookMs }: ReconcileTiming): Promise<NodeLook> {
  const { lookAtContainers } = proxyActivities<LookActivities>({
    taskQueue: nodeQueue(nodeId),
    scheduleToCloseTimeout: lookMs,
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    retry: { maximumAttempts: 1 },
  });
  try {
    return await lookAtContainers({ expected });
  } catch {
    // The node's own workflow notices its silence and says what follows from that.
    return { instance: '', sight: { kind: 'silent' } };
  }
}
