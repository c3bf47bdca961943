import { randomUUID } from 'node:crypto';
import { cancellationSignal, heartbeat } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectWorkers, startWorker } from '../../adapters/temporal/worker.ts';
import { nodeWorkflowId } from '../../contracts/node.ts';
import { CONTROL_QUEUE, nodeQueue } from '../../contracts/task-queues.ts';
import { aDeployRequest, aRemoveRequest } from '../support/builders.ts';
import { eventually } from '../support/eventually.ts';
import { createFakeCluster, NODE } from '../support/fake-cluster.ts';
import { loseNode } from '../support/lost-node.ts';
import { aPlace, startWorkflowRig } from '../support/workflow-rig.ts';

let rig: Awaited<ReturnType<typeof startWorkflowRig>>;
beforeAll(async () => {
  rig = await startWorkflowRig();
}, 60_000);
afterAll(async () => await rig.stop());

/** A node's worker whose daemon a test makes sick or well. */
function aDaemon() {
  let state: 'ready' | 'degraded' = 'ready';
  let changed = (): void => undefined;
  let isEnding = false;
  const watchNode = async ({ known }: { known: string }) => {
    if (known === state && !isEnding) {
      const signal = cancellationSignal();
      const beat = setInterval(() => heartbeat(), 100);
      await new Promise<void>((resolve, reject) => {
        changed = resolve;
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      }).finally(() => clearInterval(beat));
    }
    return { state, reason: state === 'ready' ? '' : 'docker does not answer' };
  };
  const become = (next: typeof state): void => {
    state = next;
    isEnding = false;
    changed();
  };
  /** Ends the watch under way and any that a worker still takes, so that it can stop. */
  const die = (): void => {
    isEnding = true;
    changed();
  };
  return { watchNode, become, die };
}

describe('the node workflow', { timeout: 180_000 }, () => {
  it('records a node as ready, as degraded with its reason, as lost in silence, and as ready again', async () => {
    const nodeId = `node-${randomUUID()}`;
    const cluster = createFakeCluster();
    const daemon = aDaemon();
    const { temporal, workflowBundle } = rig;
    const connection = await connectWorkers(temporal);
    const control = { taskQueue: CONTROL_QUEUE, activities: { ...cluster.store, ...cluster.ingress } };
    const controlWorker = await startWorker(connection, temporal, { ...control, workflowBundle, maxActivities: 10 });
    const nodeOptions = { taskQueue: nodeQueue(nodeId), activities: { watchNode: daemon.watchNode }, maxActivities: 4 };
    const firstWorker = await startWorker(connection, temporal, nodeOptions);
    const seen = (state: string) => eventually(() => expect(cluster.steps.at(-1)).toBe(`${nodeId} is ${state}`));

    await rig.gateway.nodeEnrolled(nodeId);
    await seen('ready');
    daemon.become('degraded');
    await seen('degraded');
    daemon.die();
    await firstWorker.stop();
    await seen('lost');
    daemon.become('ready');
    const secondWorker = await startWorker(connection, temporal, nodeOptions);
    await rig.gateway.nodeEnrolled(nodeId);
    await seen('ready');

    await rig.client.workflow.getHandle(nodeWorkflowId(nodeId)).terminate();
    await Promise.all([controlWorker.stop(), secondWorker.stop()]);
    await connection.close();
  });

  it('asks the deployments of a node that stays lost to replace what was there', async () => {
    const { cluster, nodeId } = await loseNode(rig);
    const healed = [...cluster.operations.values()].filter(({ kind }) => kind === 'heal');
    expect(healed).toMatchObject([{ state: 'succeeded', request: { reason: `node ${nodeId} does not answer` } }]);
  });

  it('never calls a node lost whose process was back before its silence was noticed', async () => {
    const nodeId = `node-${randomUUID()}`;
    const cluster = createFakeCluster();
    const daemon = aDaemon();
    const { temporal, workflowBundle } = rig;
    const connection = await connectWorkers(temporal);
    const dead = Promise.withResolvers<void>();
    const watches: string[] = [];
    /** The second watch is that of a process which dies: it never heartbeats and never ends. */
    const watchNode = async (input: { known: string }) => {
      watches.push(input.known);
      if (watches.length === 2) await dead.promise;
      return await daemon.watchNode(input);
    };
    const control = { taskQueue: CONTROL_QUEUE, activities: { ...cluster.store, ...cluster.ingress } };
    const controlWorker = await startWorker(connection, temporal, { ...control, workflowBundle, maxActivities: 10 });
    const nodeOptions = { taskQueue: nodeQueue(nodeId), activities: { watchNode }, maxActivities: 4 };
    const nodeWorker = await startWorker(connection, temporal, nodeOptions);

    await rig.gateway.nodeEnrolled(nodeId);
    await eventually(() => expect(watches).toEqual(['lost', 'ready']));
    await rig.gateway.nodeEnrolled(nodeId);
    await eventually(() => expect(watches).toEqual(['lost', 'ready', 'ready']));
    expect(cluster.steps).toEqual([`${nodeId} is ready`]);

    await rig.client.workflow.getHandle(nodeWorkflowId(nodeId)).terminate();
    daemon.die();
    dead.resolve();
    await Promise.all([controlWorker.stop(), nodeWorker.stop()]);
    await connection.close();
  });

  it('is told of what a removal left there, which it may have been back before', async () => {
    const onRemove = () => {
      throw ApplicationFailure.nonRetryable('docker does not answer');
    };
    const cluster = createFakeCluster({ onRemove });
    const daemon = aDaemon();
    let [watches, looks] = [0, 0];
    const watchNode: typeof cluster.node.watchNode = async (input) => {
      watches += 1;
      return await daemon.watchNode(input);
    };
    const listDoomed = async () => {
      looks += 1;
      return { replicas: [], deployments: [] };
    };
    const place = aPlace();
    await rig.withCluster(
      { ...cluster, node: { ...cluster.node, watchNode } },
      async () => {
        await rig.gateway.nodeEnrolled(NODE);
        await eventually(() => expect([watches, looks]).toEqual([2, 1]));
        await rig.gateway.submit({ ...place, request: aDeployRequest() });
        await eventually(() => expect([...cluster.operations.values()][0]?.state).toBe('succeeded'));
        await rig.gateway.submit({ ...place, request: aRemoveRequest() });
        await eventually(() => expect(looks).toBe(2));
        await rig.client.workflow.getHandle(nodeWorkflowId(NODE)).terminate();
        daemon.die();
      },
      { listDoomed },
    );
  });
});
