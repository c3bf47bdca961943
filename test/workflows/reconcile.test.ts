import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureReconcileSchedule } from '../../adapters/temporal/schedules.ts';
import { connectWorkers, startWorker } from '../../adapters/temporal/worker.ts';
import {
  type LookActivities,
  RECONCILE_SCHEDULE,
  RECONCILE_WORKFLOW,
  type ReconcileInput,
  type ReconcileStore,
  type RecordedOnNode,
} from '../../contracts/reconcile.ts';
import { CONTROL_QUEUE, nodeQueue } from '../../contracts/task-queues.ts';
import type { Finding, NodeSight } from '../../domain/reconcile.ts';
import { eventually } from '../support/eventually.ts';
import { startWorkflowRig } from '../support/workflow-rig.ts';

let rig: Awaited<ReturnType<typeof startWorkflowRig>>;
beforeAll(async () => {
  rig = await startWorkflowRig();
}, 60_000);
afterAll(async () => await rig.stop());

/** Long enough for a busy machine; what is silent costs as much. */
const QUICK: ReconcileInput = { timing: { lookMs: 10_000, againMs: 10 } };

const NOTHING: RecordedOnNode = { recorded: [], doomed: [], reported: [] };
const A_REPLICA = { deploymentId: randomUUID(), replicaId: 'r1-0', containerId: 'a', serving: true };

interface FakeNode {
  /** What each look sees; the last one over and over. `undefined`: nobody works for the node. */
  readonly sights: readonly NodeSight[] | undefined;
  readonly recorded?: RecordedOnNode;
  /** Whether its looks last until something was found, wherever. */
  readonly waits?: boolean;
}

const sees = (...absent: string[]): NodeSight => ({ kind: 'seen', containers: [], absent });

/** Runs workers for nodes while `use` runs. */
async function withNodes(
  nodes: Readonly<Record<string, FakeNode>>,
  use: () => Promise<void>,
  { heal = [] as string[], perPage = 2 } = {},
) {
  const looks: string[] = [];
  const found: { nodeId: string; findings: readonly Finding[] }[] = [];
  const finding = Promise.withResolvers<void>();
  const store: ReconcileStore = {
    listReconcileNodes: async ({ afterId }) => {
      const ids = Object.keys(nodes)
        .filter((id) => id > afterId)
        .sort();
      return { nodeIds: ids.slice(0, perPage), next: ids.length > perPage ? (ids[perPage - 1] ?? null) : null };
    },
    readRecorded: async ({ nodeId }) => nodes[nodeId]?.recorded ?? NOTHING,
    recordFindings: async (input) => {
      found.push(input);
      finding.resolve();
      return heal;
    },
  };
  const looker = (nodeId: string, sights: readonly NodeSight[]): LookActivities => {
    let next = 0;
    return {
      lookAtContainers: async ({ expected }) => {
        looks.push(`${nodeId} [${expected}]`);
        if (nodes[nodeId]?.waits) await finding.promise;
        const sight = sights[Math.min(next, sights.length - 1)] ?? { kind: 'silent' };
        next += 1;
        return { instance: 'test', sight };
      },
    };
  };
  const connection = await connectWorkers(rig.temporal);
  const { workflowBundle } = rig;
  const queues = [
    { taskQueue: CONTROL_QUEUE, activities: store, workflowBundle },
    ...Object.entries(nodes).flatMap(([id, { sights }]) =>
      sights ? [{ taskQueue: nodeQueue(id), activities: looker(id, sights) }] : [],
    ),
  ];
  const workers = await Promise.all(
    queues.map((queue) => startWorker(connection, rig.temporal, { ...queue, maxActivities: 10 })),
  );
  try {
    await use();
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
    await connection.close();
  }
  return { looks, found };
}

/** One reconciliation. */
async function runOnce(): Promise<void> {
  await rig.client.workflow.execute(RECONCILE_WORKFLOW, {
    ...{ workflowId: `reconcile-${randomUUID()}`, taskQueue: CONTROL_QUEUE, args: [QUICK] },
  });
}

const ids = (count: number) => Array.from({ length: count }, (_, index) => `node-${randomUUID().slice(0, 8)}-${index}`);

describe('a reconciliation', { timeout: 120_000 }, () => {
  it('looks once at each node where all is as recorded, and records nothing', async () => {
    const nodes = Object.fromEntries(ids(5).map((id) => [id, { sights: [sees()] }]));
    const { looks, found } = await withNodes(nodes, runOnce);
    expect(looks.toSorted()).toEqual(
      Object.keys(nodes)
        .map((id) => `${id} []`)
        .toSorted(),
    );
    expect(found).toEqual([]);
  });

  it('takes a container for gone after a second look that says the same, and not after one that does not', async () => {
    const [gone = '', there = ''] = ids(2);
    const recorded = { ...NOTHING, recorded: [A_REPLICA] };
    const nodes = { [gone]: { sights: [sees('a')], recorded }, [there]: { sights: [sees('a'), sees()], recorded } };
    const { looks, found } = await withNodes(nodes, runOnce);
    expect(looks.toSorted()).toEqual([`${gone} [a]`, `${gone} [a]`, `${there} [a]`, `${there} [a]`].toSorted());
    const { deploymentId, replicaId } = A_REPLICA;
    expect(found).toEqual([{ nodeId: gone, findings: [{ kind: 'gone', containerId: 'a', deploymentId, replicaId }] }]);
  });

  it('is held up by no node: those that are silent or slow cost themselves only, and nothing follows from them', async () => {
    const [dead = '', silent = '', slow = '', gone = ''] = ['a', 'b', 'c', 'd'].map(
      (name) => `${name}-${randomUUID()}`,
    );
    const recorded = { ...NOTHING, recorded: [A_REPLICA] };
    const nodes = {
      [dead]: { sights: undefined, recorded },
      [silent]: { sights: [{ kind: 'silent' as const }], recorded },
      [slow]: { sights: [sees()], recorded, waits: true },
      [gone]: { sights: [sees('a')], recorded },
    };
    const { looks, found } = await withNodes(nodes, runOnce, { perPage: 4 });
    expect(found.map(({ nodeId }) => nodeId)).toEqual([gone]);
    expect(looks).toContain(`${slow} [a]`);
  });

  it('goes on when a deployment that is to be healed has been deleted meanwhile', async () => {
    const [gone = ''] = ids(1);
    const nodes = { [gone]: { sights: [sees('a')], recorded: { ...NOTHING, recorded: [A_REPLICA] } } };
    const { found } = await withNodes(nodes, runOnce, { heal: [randomUUID()] });
    expect(found).toHaveLength(1);
  });

  it('is begun by its schedule again and again, which is made once', async () => {
    const [node = ''] = ids(1);
    const { looks } = await withNodes({ [node]: { sights: [sees()] } }, async () => {
      for (let i = 0; i < 2; i += 1) await ensureReconcileSchedule(rig.client, { everyMs: 1_000, ...QUICK });
      const handle = rig.client.schedule.getHandle(RECONCILE_SCHEDULE);
      await eventually(async () => expect((await handle.describe()).info.numActionsTaken).toBeGreaterThan(1));
      await handle.delete();
    });
    expect(looks.length).toBeGreaterThan(0);
  });
});
