import { randomUUID } from 'node:crypto';
import { startWorker } from '../../adapters/temporal/worker.ts';
import { nodeQueue } from '../../contracts/task-queues.ts';
import { aDeployRequest, aSpec } from './builders.ts';
import { eventually } from './eventually.ts';
import { createFakeCluster } from './fake-cluster.ts';
import { aPlace, type startWorkflowRig } from './workflow-rig.ts';

/** Longer than the pause before what is on a lost node is replaced. */
const PATIENCE = { patienceMs: 90_000 };

/**
 * Runs a deployment of two replicas, lets a node be seen ready and then fall silent, and says that the deployment has
 * something there, until it has been healed.
 *
 * @returns what was done, and whose workflows they are.
 */
export async function loseNode(rig: Awaited<ReturnType<typeof startWorkflowRig>>) {
  const nodeId = `node-${randomUUID()}`;
  const place = aPlace();
  const isHealed = () => [...cluster.operations.values()].some(({ kind }) => kind === 'heal');
  const cluster = createFakeCluster({ healable: () => (isHealed() ? [] : [place.deploymentId]) });
  await rig.withCluster(cluster, async () => {
    await rig.gateway.submit({ ...place, request: aDeployRequest({ spec: aSpec({ replicas: 2 }) }) });
    const ended = (kind: string) => [...cluster.operations.values()].find((one) => one.kind === kind)?.state;
    await eventually(() => {
      if (ended('deploy') !== 'succeeded') throw new Error('not deployed yet');
    });
    const silence = Promise.withResolvers<never>();
    silence.promise.catch(() => undefined);
    let watches = 0;
    const watchNode = async () => {
      watches += 1;
      if (watches > 1) await silence.promise;
      return { state: 'ready', reason: '' } as const;
    };
    const options = { taskQueue: nodeQueue(nodeId), activities: { watchNode }, maxActivities: 2 };
    const worker = await startWorker(rig.connection, rig.temporal, options);
    await rig.gateway.nodeEnrolled(nodeId);
    const seen = (state: string) => () => {
      if (!cluster.steps.includes(`${nodeId} is ${state}`)) throw new Error(`not ${state} yet`);
    };
    await eventually(seen('ready'), PATIENCE);
    silence.reject(new Error('the process is gone'));
    await worker.stop();
    await eventually(seen('lost'), PATIENCE);
    await eventually(() => {
      if (ended('heal') !== 'succeeded') throw new Error('not healed yet');
    }, PATIENCE);
  });
  return { cluster, place, nodeId };
}
