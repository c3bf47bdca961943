import { log } from '@temporalio/workflow';
import type { PendingOperation } from '../contracts/deployment.ts';
import type { RolloutTiming } from '../contracts/timing.ts';
import { atIngress, onNode, onStoppingNode, store } from './activity-stubs.ts';
import { tellDoomed } from './tell-doomed.ts';

/**
 * Takes a deployment away: its routes first, seen gone at the ingress, then every container, network and image of its
 * own on every node, then its rows. What happened stays as history.
 *
 * Not cancellable by anybody: a removal that began is finished. A node that does not answer does not stop it: what is
 * left there is recorded, and goes when the node is back.
 */
export async function removeDeployment(
  deploymentId: string,
  operation: PendingOperation,
  timing: RolloutTiming,
): Promise<void> {
  const ref = { deploymentId, operationId: operation.operationId };
  const plan = await store.beginRemoval(ref);
  if (plan.generation !== null) {
    await atIngress(timing)
      .awaitIngress({ generation: plan.generation, timeoutMs: timing.ingressMs })
      .catch((error: unknown) => log.warn('the ingress was not seen without the routes', { error: String(error) }));
  }
  const { stopGraceMs } = timing;
  const { projectId } = plan;
  const lost = new Set(plan.lostNodeIds);
  const unreachableReplicas = await failing(plan.replicas, async ({ nodeId, revision, index }) => {
    if (lost.has(nodeId)) throw new Error('the node is lost');
    await onStoppingNode(nodeId, timing).removeReplica({ deploymentId, revision, index, stopGraceMs });
  });
  const silent = new Set([...lost, ...unreachableReplicas.map(({ nodeId }) => nodeId)]);
  const unreachableNodes = await failing(plan.nodeIds, async (nodeId) => {
    if (silent.has(nodeId)) throw new Error('the node does not answer');
    await onNode(nodeId, timing).removeLeftovers({ deploymentId, projectId });
  });
  await store.purgeDeployment({ ...ref, unreachableReplicas, unreachableNodes });
  await tellDoomed([...unreachableReplicas.map(({ nodeId }) => nodeId), ...unreachableNodes]);
}

/** Does all, and answers with those for which it failed. */
async function failing<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<Item[]> {
  const outcomes = await Promise.allSettled(items.map(work));
  return items.filter((_, index) => outcomes[index]?.status === 'rejected');
}
