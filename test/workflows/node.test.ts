import { randomUUID } from 'node:crypto';
import { cancellationSignal, heartbeat } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectWorkers, startWorker } from '../../adapters/temporal/worker.ts';
import type { DoomedOnNode } from '../../contracts/activities.ts';
import { type NodeStateChange, nodeWorkflowId, type WatchedNode, type WatchNodeInput } from '../../contracts/node.ts';
import { retentionWorkflowId } from '../../contracts/retention.ts';
import { CONTROL_QUEUE, nodeQueue } from '../../contracts/task-queues.ts';
import { aDeployRequest, aRemoveRequest } from '../support/builders.ts';
import { eventually } from '../support/eventually.ts';
import { createFakeCluster, NODE } from '../support/fake-cluster.ts';
import { createFakeRetention } from '../support/fake-retention.ts';
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

  it('has a node cleaned whose disk fills up, records it as full once it is, and as having room again', async () => {
    const nodeId = `node-${randomUUID()}`;
    const cluster = createFakeCluster();
    const retention = createFakeRetention({ nodes: { [nodeId]: '', 'node-z': '' } });
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const low = { level: 'low', notice: 'its disk is filling up: 13 % free' } as const;
    const full = { level: 'full', notice: 'its disk is nearly full: 9 % free' } as const;
    const room = { level: 'room', notice: '' } as const;
    const found = [room, low, low, { ...low, notice: 'its disk is filling up: 12 % free' }, full, room];
    const asked: WatchNodeInput['knownDisk'][] = [];
    let isMeasured = false;
    const watchNode = async ({ knownDisk }: WatchNodeInput): Promise<WatchedNode> => {
      if (!isMeasured) {
        isMeasured = true;
        return { state: 'ready', reason: '' };
      }
      asked.push(knownDisk);
      const disk = found.shift();
      if (!disk) {
        const beat = setInterval(() => heartbeat(), 100);
        await ended.finally(() => clearInterval(beat));
      }
      return { state: 'ready', reason: '', disk: disk ?? room };
    };
    const records: Omit<NodeStateChange, 'nodeId'>[] = [];
    const recordNodeState = async ({ nodeId: _, ...change }: NodeStateChange) => void records.push(change);
    const { temporal, workflowBundle } = rig;
    const connection = await connectWorkers(temporal);
    const store = { ...cluster.store, ...cluster.ingress, ...retention.store, recordNodeState };
    const workers = await Promise.all(
      [
        { taskQueue: CONTROL_QUEUE, activities: store, workflowBundle },
        { taskQueue: nodeQueue(nodeId), activities: { ...retention.node(nodeId), watchNode } },
      ].map((queue) => startWorker(connection, temporal, { ...queue, maxActivities: 10 })),
    );

    await rig.gateway.nodeEnrolled(nodeId);
    await eventually(() => expect(asked).toHaveLength(7));
    expect(asked).toEqual(['room', 'room', 'low', 'low', 'low', 'full', 'room']);
    expect(records.map(({ disk }) => disk?.notice)).toEqual([
      ...[undefined, '', low.notice, 'its disk is filling up: 12 % free', full.notice, ''],
    ]);
    await rig.client.workflow.getHandle(retentionWorkflowId({ isDryRun: false, onlyNodeId: nodeId })).result();
    const cleaned = retention.steps.filter((step) => step !== 'begin');
    expect(cleaned.slice(0, 2)).toEqual([`${nodeId} removes sha256:2`, `record images of ${nodeId}`]);
    expect(cleaned.some((step) => /sweep|contexts|node-z/.test(step))).toBe(false);
    expect(retention.steps.filter((step) => step === 'begin').length).toBeLessThanOrEqual(2);

    await rig.client.workflow.getHandle(nodeWorkflowId(nodeId)).terminate();
    end();
    await Promise.all(workers.map((worker) => worker.stop()));
    await connection.close();
  });

  it('is rid of what was replaced elsewhere before it counts as ready again', async () => {
    const cluster = createFakeCluster();
    const daemon = aDaemon();
    const nodeId = `node-${randomUUID()}`;
    const left = { deploymentId: randomUUID(), projectId: randomUUID(), revision: 1, index: 0 };
    let doomed: DoomedOnNode = { replicas: [left], deployments: [] };
    const { temporal, workflowBundle, connection } = rig;
    const removeReplica = async () => {
      cluster.steps.push('removed');
    };
    const store = {
      ...cluster.store,
      listDoomed: async () => doomed,
      forgetDoomed: async ({ replicas }: { replicas: readonly unknown[] }) => {
        if (replicas.length > 0) doomed = { replicas: [], deployments: [] };
      },
    };
    const queues = [
      { taskQueue: CONTROL_QUEUE, activities: store, workflowBundle },
      { taskQueue: nodeQueue(nodeId), activities: { watchNode: daemon.watchNode, removeReplica } },
    ];
    const workers = await Promise.all(
      queues.map((queue) => startWorker(connection, temporal, { ...queue, maxActivities: 10 })),
    );
    await rig.gateway.nodeEnrolled(nodeId);
    await eventually(() => expect(cluster.steps).toEqual(['removed', `${nodeId} is ready`]));
    await rig.client.workflow.getHandle(nodeWorkflowId(nodeId)).terminate();
    daemon.die();
    await Promise.all(workers.map((worker) => worker.stop()));
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
        await eventually(() => expect([watches, looks]).toEqual([2, 2]));
        await rig.gateway.submit({ ...place, request: aDeployRequest() });
        await eventually(() => expect([...cluster.operations.values()][0]?.state).toBe('succeeded'));
        await rig.gateway.submit({ ...place, request: aRemoveRequest() });
        await eventually(() => expect(looks).toBe(3));
        await rig.client.workflow.getHandle(nodeWorkflowId(NODE)).terminate();
        daemon.die();
      },
      { listDoomed },
    );
  });
});
