import { log } from '@temporalio/workflow';
import type { PendingOperation } from '../contracts/deployment.ts';
import type { RolloutTiming } from '../contracts/timing.ts';
import { atIngress, onNode, store } from './activity-stubs.ts';

/**
 * Takes a deployment away: its routes first, seen gone at the ingress, then every container, network and image of its
 * own on every node, then its rows. What happened stays as history.
 *
 * Not cancellable by anybody: a removal that began is finished. A node that does not answer does not stop it.
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
  await settled(
    plan.replicas.map(({ nodeId, revision, index }) =>
      onNode(nodeId, timing, stopGraceMs).removeReplica({ deploymentId, revision, index, stopGraceMs }),
    ),
  );
  const { projectId } = plan;
  await settled(plan.nodeIds.map((nodeId) => onNode(nodeId, timing).removeLeftovers({ deploymentId, projectId })));
  await store.purgeDeployment(ref);
}

async function settled(tasks: readonly Promise<void>[]): Promise<void> {
  const outcomes = await Promise.allSettled(tasks);
  const failed = outcomes.filter((outcome) => outcome.status === 'rejected').length;
  if (failed > 0) log.warn('a node did not answer while a deployment was removed', { failed });
}
