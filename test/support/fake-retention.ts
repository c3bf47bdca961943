import { heartbeat } from '@temporalio/activity';
import { connectWorkers, startWorker } from '../../adapters/temporal/worker.ts';
import type { NodeRetentionActivities } from '../../contracts/node-retention.ts';
import type { OrphanActivities, OrphanStore } from '../../contracts/orphans.ts';
import type {
  ContextActivities,
  RecordRetentionInput,
  RetentionStore,
  RetentionSweeps,
  RetentionTiming,
} from '../../contracts/retention.ts';
import { CONTEXTS_QUEUE, CONTROL_QUEUE, nodeQueue } from '../../contracts/task-queues.ts';
import { DEFAULT_RETENTION, type RetentionPolicy } from '../../domain/retention/policy.ts';
import type { startWorkflowRig } from './workflow-rig.ts';

/** What a test can make the fake world of retention do. */
export interface FakeRetentionBehaviour {
  readonly policy?: Partial<RetentionPolicy>;
  /** Nodes by id, with why they cannot be asked. */
  readonly nodes?: Readonly<Record<string, string>>;
  /** Nodes that nobody works for. */
  readonly silent?: readonly string[];
  readonly images?: readonly string[];
  readonly needed?: readonly string[];
  /** Ids of what no record owns. */
  readonly orphans?: readonly string[];
  /** Of those, by id, why they stay after all. */
  readonly spared?: Readonly<Record<string, string>>;
  onSweep?: (place: string) => Promise<void>;
  onSurvey?: (nodeId: string) => Promise<void>;
  onContexts?: () => Promise<void>;
}

/** Short, so that what is silent is given up soon. */
export const QUICK_RETENTION: RetentionTiming = { pickUpMs: 3_000, heartbeatMs: 2_000, workMs: 20_000 };

/** Stands for the database, the files and the nodes. Says in `steps` what was done, in order. */
export function createFakeRetention(behaviour: FakeRetentionBehaviour = {}) {
  const {
    nodes = { 'node-a': '' },
    images = ['sha256:1', 'sha256:2'],
    needed = ['sha256:1'],
    orphans = [],
  } = behaviour;
  const steps: string[] = [];
  const records: RecordRetentionInput[] = [];
  const ended = new Map<string, string>();

  const store: RetentionStore & OrphanStore = {
    beginRetention: async ({ runId, isDryRun }) => {
      steps.push(`begin${isDryRun ? ' dry' : ''}`);
      return { policy: { ...DEFAULT_RETENTION, ...behaviour.policy }, isOver: ended.has(runId) };
    },
    listRetentionNodes: async ({ afterId, onlyNodeId }) => {
      if (onlyNodeId !== undefined) {
        const unreachable = nodes[onlyNodeId] ?? '';
        return { nodes: [{ nodeId: onlyNodeId, unreachable }], next: null };
      }
      const [nodeId] = Object.keys(nodes).filter((id) => id > afterId);
      const rest = afterId === '' ? Object.keys(nodes) : [nodeId ?? ''];
      return { nodes: rest.map((id) => ({ nodeId: id, unreachable: nodes[id] ?? '' })), next: null };
    },
    findNeededImages: async (input) =>
      input.images.flatMap(({ imageId }) => (needed.includes(imageId) ? [imageId] : [])),
    recordRetention: async (input) => {
      records.push(input);
      steps.push(`record ${input.kind}${input.nodeId === '' ? '' : ` of ${input.nodeId}`}`);
    },
    recordOrphans: async ({ orphans }) => {
      for (const { id, outcome, reason } of orphans) steps.push(`${id} is ${outcome}${reason && `: ${reason}`}`);
    },
    finishRetention: async ({ runId, error }) => {
      ended.set(runId, error);
      steps.push(error === '' ? 'end' : `end: ${error}`);
    },
  };
  const sweeps: RetentionSweeps = {
    sweepDatabase: async ({ place }) => {
      heartbeat();
      await behaviour.onSweep?.(place);
      steps.push(`sweep '${place}'`);
      return { place: place === '' ? 'second' : null };
    },
  };
  const contexts: ContextActivities = {
    sweepContextFiles: async ({ after }) => {
      await behaviour.onContexts?.();
      steps.push(`contexts after '${after}'`);
      return { removed: 1, bytes: 10, kept: 2, next: after === '' ? 'f' : null };
    },
  };
  const node = (nodeId: string): NodeRetentionActivities & OrphanActivities => ({
    surveyImages: async () => {
      await behaviour.onSurvey?.(nodeId);
      const surveyed = images.map((imageId) => ({ imageId, digests: [] }));
      return { images: surveyed, kept: { 'used by a container': 1 }, next: null, layersBytes: 100 };
    },
    removeImages: async ({ imageIds, isDryRun }) => {
      steps.push(`${nodeId} ${isDryRun ? 'counts' : 'removes'} ${imageIds.join(' ')}`);
      return { removed: imageIds.length, bytesFreed: 50, kept: {} };
    },
    surveyOrphans: async () => ({
      orphans: orphans.map((id) => ({ kind: 'container', id, name: `of ${id}`, ownerId: 'd', replicaId: 'r1-0' })),
      kept: { recorded: 2 },
    }),
    removeOrphans: async (input) => {
      steps.push(`${nodeId} removes ${input.orphans.map(({ id }) => id).join(' ')}`);
      return { outcomes: Object.fromEntries(input.orphans.map(({ id }) => [id, behaviour.spared?.[id] ?? ''])) };
    },
    pruneBuildCache: async ({ keepBytes }) => {
      steps.push(`${nodeId} keeps ${keepBytes} of its cache`);
      return { removed: 3, bytesFreed: 30 };
    },
  });
  const linesOf = (kind: string, nodeId: string) =>
    records.find((record) => record.kind === kind && record.nodeId === nodeId)?.items;

  /** Runs workers for all of it while `use` runs. */
  const whileWorking = async (
    { temporal, workflowBundle }: Awaited<ReturnType<typeof startWorkflowRig>>,
    use: () => Promise<void>,
  ): Promise<void> => {
    const connection = await connectWorkers(temporal);
    const queues = [
      { taskQueue: CONTROL_QUEUE, activities: { ...store, ...sweeps }, workflowBundle },
      { taskQueue: CONTEXTS_QUEUE, activities: contexts },
      ...Object.keys(nodes)
        .filter((id) => !behaviour.silent?.includes(id))
        .map((id) => ({ taskQueue: nodeQueue(id), activities: node(id) })),
    ];
    const workers = await Promise.all(
      queues.map((queue) => startWorker(connection, temporal, { ...queue, maxActivities: 10 })),
    );
    try {
      await use();
    } finally {
      await Promise.all(workers.map((worker) => worker.stop()));
      await connection.close();
    }
  };
  return { store, node, steps, records, ended, linesOf, whileWorking };
}
