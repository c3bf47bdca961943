import { randomUUID } from 'node:crypto';
import { connectWorkers, startWorker } from '../../adapters/temporal/worker.ts';
import {
  type LookActivities,
  RECONCILE_WORKFLOW,
  type ReconcileInput,
  type ReconcileStore,
  type RecordedOnNode,
} from '../../contracts/reconcile.ts';
import { CONTROL_QUEUE, nodeQueue } from '../../contracts/task-queues.ts';
import type { Finding, NodeSight } from '../../domain/reconcile.ts';
import type { startWorkflowRig } from './workflow-rig.ts';

/** Long enough for a busy machine; what is silent costs as much. */
export const QUICK_RECONCILE: ReconcileInput = { timing: { lookMs: 10_000, againMs: 10 } };

/** Nothing is recorded. */
export const NOTHING: RecordedOnNode = { recorded: [], doomed: [], reported: [] };
/** A replica that serves from container `a`. */
export const A_REPLICA = { deploymentId: randomUUID(), replicaId: 'r1-0', containerId: 'a', serving: true };

/** A node as a test makes it. */
export interface FakeNode {
  /** What each look sees; the last one over and over. `undefined`: nobody works for the node. */
  readonly sights: readonly NodeSight[] | undefined;
  readonly recorded?: RecordedOnNode;
  /** Whether its looks last until something was found, wherever. */
  readonly waits?: boolean;
}

/** A look that finds these absent, and nothing strange. */
export const sees = (...absent: string[]): NodeSight => ({ kind: 'seen', containers: [], absent });

/** Runs workers for nodes and their records while `use` runs. Says what was looked at, and what was found. */
export async function withNodes(
  rig: Awaited<ReturnType<typeof startWorkflowRig>>,
  nodes: Readonly<Record<string, FakeNode>>,
  use: () => Promise<void>,
  { heal = [] as string[], short = [] as string[], perPage = 2 } = {},
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
    listShort: async () => short,
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

/** One reconciliation. @returns its workflow's id. */
export async function reconcileOnce(rig: Awaited<ReturnType<typeof startWorkflowRig>>): Promise<string> {
  const workflowId = `reconcile-${randomUUID()}`;
  await rig.client.workflow.execute(RECONCILE_WORKFLOW, {
    ...{ workflowId, taskQueue: CONTROL_QUEUE, args: [QUICK_RECONCILE] },
  });
  return workflowId;
}
