import { randomUUID } from 'node:crypto';
import type { RebalanceActivities } from '../../contracts/rebalance.ts';
import { aDeployRequest } from './builders.ts';
import { eventually } from './eventually.ts';
import { createFakeCluster, type FakeBehaviour } from './fake-cluster.ts';
import { aPlace, type startWorkflowRig } from './workflow-rig.ts';

/**
 * Runs a deployment, and carries out a plan: one move of it for each node that is named, between moves of deployments
 * that do not exist.
 *
 * @param onBegin called when the rebalance has begun.
 * @returns what was recorded, and whose workflow the deployment is.
 */
export async function carryOutPlan(
  rig: Awaited<ReturnType<typeof startWorkflowRig>>,
  { toNodes, onBegin, ...behaviour }: FakeBehaviour & { toNodes: readonly string[]; onBegin?: () => Promise<void> },
) {
  const place = aPlace();
  const cluster = createFakeCluster(behaviour);
  const recorded: string[] = [];
  const records: RebalanceActivities = {
    beginRebalance: async ({ planned }) => {
      await onBegin?.();
      recorded.push(`${planned} planned`);
    },
    recordEnded: async ({ ended }) => {
      recorded.push(`${ended} ended`);
    },
    endRebalance: async ({ state, operationIds }) => {
      recorded.push(`${state} after ${operationIds.length}`);
    },
  };
  const toMove = (to: string) => ({ from: 'node-full', to, replicas: 1 });
  const moves = [
    { deploymentId: randomUUID(), move: toMove('node-a') },
    ...toNodes.map((to) => ({ deploymentId: place.deploymentId, move: toMove(to) })),
  ];
  await rig.withCluster(
    cluster,
    async () => {
      await rig.gateway.submit({ ...place, request: aDeployRequest() });
      await eventually(() => {
        if ([...cluster.operations.values()][0]?.state !== 'succeeded') throw new Error('not deployed yet');
      });
      await rig.gateway.rebalance({ rebalanceId: randomUUID(), actorUserId: randomUUID(), moves });
      await eventually(() => {
        if (!recorded.some((line) => /^(done|stopped)/.test(line))) throw new Error('not ended yet');
      });
    },
    records,
  );
  return { cluster, place, recorded };
}
