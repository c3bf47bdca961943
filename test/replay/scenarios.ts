import { createHash, randomUUID } from 'node:crypto';
import { Context, heartbeat } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { toApplicationFailure } from '../../activities/failures.ts';
import { createKeyring } from '../../adapters/sealing/keyring.ts';
import { createRetentionGateway } from '../../adapters/temporal/retention-gateway.ts';
import type { DoomedOnNode, StoreActivities } from '../../contracts/activities.ts';
import { buildWorkflowId } from '../../contracts/build.ts';
import { type Control, deploymentWorkflowId, type OperationRequest } from '../../contracts/deployment.ts';
import { drainWorkflowId } from '../../contracts/drain.ts';
import { ROTATION_WORKFLOW_ID } from '../../contracts/keys.ts';
import { RETAIN_METRICS_WORKFLOW, ROLL_UP_WORKFLOW } from '../../contracts/metrics-upkeep.ts';
import { nodeWorkflowId } from '../../contracts/node.ts';
import { REBALANCE_WORKFLOW_ID } from '../../contracts/rebalance.ts';
import {
  RETENTION_DUE_WORKFLOW,
  RETENTION_SCHEDULE,
  type RetentionDueInput,
  retentionWorkflowId,
} from '../../contracts/retention.ts';
import { CONTROL_QUEUE } from '../../contracts/task-queues.ts';
import { restoreWorkflowId, snapshotWorkflowId } from '../../contracts/volumes.ts';
import { DomainError } from '../../domain/errors.ts';
import type { RolloutPolicy } from '../../domain/rollout-policy.ts';
import { deliverOnce, evaluateOnce, type FailingDelivery } from '../support/alert-workflows.ts';
import { askByUpdate } from '../support/ask-by-update.ts';
import {
  aDeployRequest,
  aGitSource,
  anOpenGitSource,
  aReadFile,
  aRemoveRequest,
  aRequest,
  aSpec,
} from '../support/builders.ts';
import { drainNode } from '../support/drained-node.ts';
import { eventually } from '../support/eventually.ts';
import { createFakeCluster, type FakeBehaviour, NODE, untilCancelled } from '../support/fake-cluster.ts';
import { createFakeKeys } from '../support/fake-keys.ts';
import { createFakeRetention, QUICK_RETENTION } from '../support/fake-retention.ts';
import { createFakeVolumes, createWrittenVolume, type FakeVolumes } from '../support/fake-volumes.ts';
import { inTurn, keepMetrics } from '../support/kept-metrics.ts';
import { loseNode } from '../support/lost-node.ts';
import { carryOutPlan } from '../support/rebalanced.ts';
import { A_REPLICA, NOTHING, reconcileOnce, sees, withNodes } from '../support/reconciled-nodes.ts';
import { aPlace, type startWorkflowRig } from '../support/workflow-rig.ts';

type Rig = Awaited<ReturnType<typeof startWorkflowRig>>;

/** Keys of the recorded histories: public on purpose, since they hold nothing but test data. */
export const RECORDING_KEYS = createKeyring(createHash('sha256').update('recorded histories').digest());

/** One shape of a history, and how to make it. Answers with the ids of the workflows to record. */
export interface Scenario {
  readonly name: string;
  run(rig: Rig): Promise<readonly string[]>;
}

/** Every shape that a released version has left in a database: names are kept, new shapes are added. */
export const SCENARIOS: readonly Scenario[] = [
  { name: 'deploy-two-replicas', run: (rig) => operations(rig, {}, [deploy()]) },
  { name: 'update-replaces-old', run: (rig) => operations(rig, {}, [deploy(), again()]) },
  { name: 'deploy-then-remove', run: (rig) => operations(rig, {}, [deploy(), aRemoveRequest]) },
  { name: 'unhealthy-is-undone', run: (rig) => operations(rig, { onStart: refuseSecond }, [deploy(), again()]) },
  { name: 'removal-cancels-rollout', run: removalCancelsRollout },
  { name: 'waits-for-node', run: (rig) => operations(rig, { refuseBegin: noNodeAtFirst() }, [deploy()]) },
  { name: 'told-of-one', run: (rig) => told(rig, [[deploy()], [again()], [aRemoveRequest]]) },
  { name: 'told-of-three-at-once', run: (rig) => told(rig, [[deploy(), again(), again()], [aRemoveRequest]]) },
  { name: 'told-of-none', run: (rig) => told(rig, [[]]) },
  { name: 'creation-refused', run: (rig) => operations(rig, { refuseStore: () => TAKEN }, [deploy()]) },
  { name: 'build-from-dockerfile', run: buildFromDockerfile },
  { name: 'build-from-git', run: (rig) => operations(rig, {}, [deployCommit()]) },
  { name: 'git-read-first', run: (rig) => operations(rig, {}, [deployRepository({})]) },
  { name: 'compose-from-git', run: (rig) => operations(rig, { onRead: readFile }, [deployFile, push]) },
  {
    name: 'compose-from-git-refused',
    run: (rig) => operations(rig, { onRead: refuseRepeated() }, [deployFile, push, rollback(1)]),
  },
  { name: 'node-watched', run: nodeWatched },
  { name: 'node-back-before-lost', run: nodeBackBeforeLost },
  { name: 'node-cleaned-first', run: nodeWatched },
  { name: 'node-healed', run: nodeHealed },
  { name: 'node-drained', run: nodeDrained },
  { name: 'nodes-rebalanced', run: nodesRebalanced },
  {
    name: 'left-on-silent-node',
    run: (rig) => operations(rig, { onRemove: refuseRemoval }, [deploy(), again(), aRemoveRequest]),
  },
  { name: 'requests-at-once', run: requestsAtOnce },
  {
    name: 'scale-restart-stop-start',
    run: (rig) => operations(rig, {}, [deploy(), scale(3), plain('restart'), plain('stop'), plain('start'), scale(1)]),
  },
  { name: 'rollback', run: (rig) => operations(rig, {}, [deploy(), again(), rollback(1)]) },
  { name: 'rolling-in-batches', run: (rig) => operations(rig, {}, [deploy(BATCHES), again(BATCHES)]) },
  {
    name: 'batch-is-undone',
    run: (rig) => operations(rig, { onStart: refuseLater }, [deploy(BATCHES), again(BATCHES)]),
  },
  { name: 'recreate', run: (rig) => operations(rig, {}, [deploy(RECREATE), again(RECREATE)]) },
  { name: 'blue-green', run: (rig) => operations(rig, {}, [deploy(BLUE_GREEN), again(BLUE_GREEN)]) },
  { name: 'canary', run: (rig) => operations(rig, {}, [deploy(CANARY), again(CANARY)]) },
  { name: 'paused-and-approved', run: pausedAndApproved },
  { name: 'cancelled', run: cancelled },
  { name: 'metrics-rolled-up', run: metricsKept },
  { name: 'retention', run: retained },
  { name: 'orphans-removed', run: orphansRemoved },
  { name: 'disk-full', run: diskFills },
  { name: 'retention-due', run: retentionDue },
  { name: 'reconciled', run: reconciled },
  { name: 'short-healed', run: shortHealed },
  { name: 'keys-rotated', run: (rig) => keysRotated(rig, ['old', 'old', 'old', 'old', 'new']) },
  { name: 'volume-written', run: (rig) => operations(rig, {}, [withVolume('one'), withVolume('two')]) },
  {
    name: 'volume-returned',
    run: (rig) => operations(rig, { onStart: refuseSecond }, [withVolume('one'), withVolume('two')]),
  },
  { name: 'volume-carried', run: (rig) => operations(rig, {}, [withVolume('one'), moveAlong]) },
  {
    name: 'volume-not-carried',
    run: (rig) => operations(rig, { onCarry: diskFull }, [withVolume('one'), moveAlong]),
  },
  { name: 'volume-removed', run: volumeRemoved },
  { name: 'snapshot-taken', run: (rig) => snapshotTaken(rig, {}) },
  { name: 'snapshot-failed', run: (rig) => snapshotTaken(rig, { takeSnapshot: diskFull, restoreSnapshot: diskFull }) },
  { name: 'snapshot-while-stopped', run: snapshotWhileStopped },
  { name: 'keys-refused', run: (rig) => keysRotated(rig, ['old', 'lost']) },
  { name: 'alerts-evaluated', run: (rig) => alertsEvaluated(rig) },
  { name: 'notification-delivered', run: (rig) => notificationDelivered(rig, { failures: 2 }) },
  { name: 'notification-given-up', run: (rig) => notificationDelivered(rig, REFUSED) },
];

const TAKEN = new DomainError('NAME_TAKEN', 'name: app exists');
const BATCHES: RolloutPolicy = { strategy: 'rolling', maxSurgePercent: 50, maxUnavailablePercent: 0, approval: false };
const RECREATE: RolloutPolicy = { strategy: 'recreate', approval: false };
const BLUE_GREEN: RolloutPolicy = { strategy: 'blue-green', approval: false, keepOldMs: 10 };
const CANARY: RolloutPolicy = {
  strategy: 'canary',
  steps: [
    { weightPercent: 10, gate: { kind: 'errors', waitMs: 1, maxErrorPercent: 1, minRequests: 1 } },
    { weightPercent: 50, gate: { kind: 'wait', waitMs: 10 } },
  ],
};

/** No node is ready the first two times. */
function noNodeAtFirst(): NonNullable<FakeBehaviour['refuseBegin']> {
  let asked = 0;
  return () => {
    asked += 1;
    return asked <= 2 ? new DomainError('NO_NODE_READY', 'none of 1 node is ready', { mayPass: true }) : undefined;
  };
}

const refuseSecond: NonNullable<FakeBehaviour['onStart']> = async ({ replicaId }) => {
  if (replicaId.startsWith('r2-')) throw toApplicationFailure(new DomainError('REPLICA_UNHEALTHY', 'never listened'));
};

const refuseRemoval = (): never => {
  throw ApplicationFailure.nonRetryable('docker does not answer');
};

const refuseLater: NonNullable<FakeBehaviour['onStart']> = async ({ replicaId }) => {
  if (replicaId === 'r2-1') throw toApplicationFailure(new DomainError('REPLICA_EXITED', 'exited with code 1'));
};

type Act = () => OperationRequest;

const deploy =
  (rollout?: RolloutPolicy): Act =>
  () =>
    aDeployRequest({ spec: aSpec({ replicas: 2, ...(rollout ? { rollout } : {}) }) });
const deployCommit = (): Act => () => aDeployRequest({ spec: aSpec({ source: aGitSource() }) });
const deployRepository =
  (source: Parameters<typeof anOpenGitSource>[0]): Act =>
  () =>
    aDeployRequest({ spec: aSpec({ source: anOpenGitSource(source) }) });
const deployFile = deployRepository({ composePath: '' });
const push: Act = () => {
  const change = { service: null, replace: {}, setVariables: [], unsetVariables: [] };
  return aRequest({ kind: 'update', change, freshSource: true });
};
const readFile = async () => aReadFile({ web: 'built', cache: 'pulled' });

/** The file of the first commit is fine, those of later ones are not. */
function refuseRepeated(): NonNullable<FakeBehaviour['onRead']> {
  let read = 0;
  return async () => {
    read += 1;
    if (read === 1) return await readFile();
    throw toApplicationFailure(new DomainError('SOURCE_REFUSED', 'services.web.privileged: found true'));
  };
}
const again =
  (rollout?: RolloutPolicy): Act =>
  () => ({ ...aDeployRequest({ spec: aSpec({ replicas: 2, ...(rollout ? { rollout } : {}) }) }), createAs: null });
const scale =
  (replicas: number): Act =>
  () =>
    aRequest({ kind: 'scale', service: 'app', replicas });
const plain =
  (kind: 'restart' | 'stop' | 'start'): Act =>
  () =>
    aRequest({ kind });
const rollback =
  (toRevision: number): Act =>
  () =>
    aRequest({ kind: 'rollback', toRevision });

const withVolume = (image: string): Act => {
  const volumes = [{ volume: 'data', path: '/data', readOnly: false }];
  const spec = aSpec({ replicas: 1, volumes, source: { kind: 'image', reference: `${image}:1` } });
  return () => aDeployRequest({ spec, ...(image === 'one' ? {} : { createAs: null }) });
};

const moveAlong: Act = () =>
  aRequest({ kind: 'move', move: { from: null, to: 'node-other', replicas: null, volumes: true } });

async function diskFull(): Promise<never> {
  throw toApplicationFailure(new DomainError('INSUFFICIENT_CAPACITY', 'the disk is full'));
}

async function operations(rig: Rig, behaviour: FakeBehaviour, acts: readonly Act[]): Promise<readonly string[]> {
  const cluster = createFakeCluster(behaviour);
  const place = aPlace();
  await rig.withCluster(cluster, async () => {
    for (const act of acts) {
      const request = act();
      const isAccepted = await askByUpdate(rig, { ...place, request }).then(
        () => true,
        () => false,
      );
      if (isAccepted) await ended(cluster, request.operationId);
    }
  });
  return [deploymentWorkflowId(place.deploymentId)];
}

/** Stores what is asked, group by group, and tells of each group once. */
async function told(rig: Rig, groups: readonly (readonly Act[])[]): Promise<readonly string[]> {
  const cluster = createFakeCluster();
  const place = aPlace();
  const workflowId = deploymentWorkflowId(place.deploymentId);
  await rig.withCluster(cluster, async () => {
    for (const acts of groups) {
      const stored = [];
      for (const act of acts) stored.push(await cluster.storeOperation({ ...place, request: act() }));
      await rig.gateway.tellStored(place);
      for (const { operationId } of stored) await ended(cluster, operationId);
    }
    await rig.client.workflow.getHandle(workflowId).result();
  });
  return [workflowId];
}

async function removalCancelsRollout(rig: Rig): Promise<readonly string[]> {
  return await heldInStart(rig, async ({ cluster, place }) => {
    const removal = aRemoveRequest();
    await askByUpdate(rig, { ...place, request: removal });
    await ended(cluster, removal.operationId);
  });
}

async function cancelled(rig: Rig): Promise<readonly string[]> {
  return await heldInStart(rig, async ({ cluster, place, operationId }) => {
    await rig.gateway.control({ ...place, request: aWord('cancel', operationId) });
    await ended(cluster, operationId);
  });
}

interface Held {
  readonly cluster: ReturnType<typeof createFakeCluster>;
  readonly place: ReturnType<typeof aPlace>;
  readonly operationId: string;
}

/** A first deploy whose replica never gets ready. */
async function heldInStart(rig: Rig, act: (held: Held) => Promise<void>): Promise<readonly string[]> {
  const cluster = createFakeCluster({ onStart: untilCancelled });
  const place = aPlace();
  const request = aDeployRequest();
  await rig.withCluster(cluster, async () => {
    await askByUpdate(rig, { ...place, request });
    await sawStep(cluster, 'start r1-0');
    await act({ cluster, place, operationId: request.operationId });
  });
  return [deploymentWorkflowId(place.deploymentId)];
}

async function pausedAndApproved(rig: Rig): Promise<readonly string[]> {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const cluster = createFakeCluster({ onStart: () => held });
  const place = aPlace();
  const rollout: RolloutPolicy = {
    strategy: 'rolling',
    maxSurgePercent: 100,
    maxUnavailablePercent: 0,
    approval: true,
  };
  const request = aDeployRequest({ spec: aSpec({ rollout }) });
  const { operationId } = request;
  await rig.withCluster(cluster, async () => {
    await askByUpdate(rig, { ...place, request });
    await sawStep(cluster, 'start r1-0');
    await rig.gateway.control({ ...place, request: aWord('pause', operationId) });
    release();
    await sawStep(cluster, 'waits for a person to resume it');
    await rig.gateway.control({ ...place, request: aWord('resume', operationId) });
    await sawStep(cluster, 'waits for a person to approve that it goes on');
    await rig.gateway.control({ ...place, request: aWord('approve', operationId) });
    await ended(cluster, operationId);
  });
  return [deploymentWorkflowId(place.deploymentId)];
}

function aWord(control: Control, operationId: string) {
  const idempotencyKey = `${control}-${operationId}`;
  return { control, operationId, idempotencyKey, requestHash: 'a'.repeat(64), actorUserId: operationId };
}

async function sawStep(cluster: ReturnType<typeof createFakeCluster>, step: string): Promise<void> {
  await eventually(() => {
    if (!cluster.steps.includes(step)) throw new Error(`no "${step}" yet`);
  });
}

async function buildFromDockerfile(rig: Rig): Promise<readonly string[]> {
  const cluster = createFakeCluster();
  const place = aPlace();
  const source = { kind: 'dockerfile', contextSha256: 'a'.repeat(64), dockerfilePath: 'Dockerfile' } as const;
  const request = aDeployRequest({ spec: aSpec({ source }) });
  await rig.withCluster(cluster, async () => {
    await askByUpdate(rig, { ...place, request });
    await ended(cluster, request.operationId);
  });
  return [
    deploymentWorkflowId(place.deploymentId),
    buildWorkflowId({ deploymentId: place.deploymentId, revision: 1, service: 'app' }),
  ];
}

async function nodeWatched(rig: Rig): Promise<readonly string[]> {
  const cluster = createFakeCluster();
  const nodeId = 'node-fake';
  await rig.withCluster(cluster, async () => {
    await rig.gateway.nodeEnrolled(nodeId);
    await eventually(() => {
      if (!cluster.steps.includes(`${nodeId} is ready`)) throw new Error('not ready yet');
    });
  });
  return [`node/${nodeId}`];
}

/** The watch of a node that stays lost, and a deployment that was there. */
async function nodeHealed(rig: Rig): Promise<readonly string[]> {
  const { nodeId, place } = await loseNode(rig);
  return [nodeWorkflowId(nodeId), deploymentWorkflowId(place.deploymentId)];
}

/** What empties a node, and one of the deployments that it asks. */
async function nodeDrained(rig: Rig): Promise<readonly string[]> {
  const { nodeId, place } = await drainNode(rig);
  return [drainWorkflowId(nodeId), deploymentWorkflowId(place.deploymentId)];
}

/** A plan of three moves, of which one is of a deployment that does not exist. */
async function nodesRebalanced(rig: Rig): Promise<readonly string[]> {
  await carryOutPlan(rig, { toNodes: ['node-b', 'node-c'] });
  return [REBALANCE_WORKFLOW_ID];
}

/** A node that is watched is told of a volume and a snapshot that somebody has deleted. */
async function volumeRemoved(rig: Rig): Promise<readonly string[]> {
  const cluster = createFakeCluster();
  const workflowId = nodeWorkflowId(NODE);
  await rig.client.workflow
    .getHandle(workflowId)
    .terminate()
    .catch(() => undefined);
  let doomed: DoomedOnNode = { replicas: [], deployments: [] };
  const more: Partial<StoreActivities> = {
    listDoomed: async () => doomed,
    forgetDoomed: async () => {
      doomed = { replicas: [], deployments: [] };
    },
  };
  let watches = 0;
  const watchNode: typeof cluster.node.watchNode = async () => {
    watches += 1;
    if (watches > 1) await untilShutdown();
    return { state: 'ready', reason: '' };
  };
  const gone = ['remove volume v', 'drop snapshot s'];
  await rig.withCluster(
    { ...cluster, node: { ...cluster.node, watchNode } },
    async () => {
      await rig.gateway.nodeEnrolled(NODE);
      await eventually(() => {
        if (watches < 2) throw new Error(`watched ${watches} times`);
      });
      doomed = { ...doomed, volumes: [{ volumeId: 'v' }], snapshots: [{ snapshotId: 's' }] };
      await rig.gateway.nodeDoomed(NODE);
      await eventually(() => {
        const isGone = gone.every((step) => cluster.steps.includes(step)) && doomed.volumes === undefined;
        if (!isGone) throw new Error('still there');
      });
    },
    more,
  );
  return [workflowId];
}

/** A snapshot, and a volume that is made of it. */
async function snapshotTaken(rig: Rig, changes: Partial<FakeVolumes['node']>): Promise<readonly string[]> {
  const cluster = createFakeCluster();
  const { node, records } = createFakeVolumes();
  const [snapshotId, volumeId, projectId] = [randomUUID(), randomUUID(), randomUUID()];
  const ids = [snapshotWorkflowId(snapshotId), restoreWorkflowId(volumeId)];
  const restore = { snapshotId, volumeId, projectId, nodeId: NODE, sizeBytes: 3, sha256: 'c'.repeat(64) };
  await rig.withCluster(
    { ...cluster, node: { ...cluster.node, ...node, ...changes } },
    async () => {
      await rig.gateway.takeSnapshot({ snapshotId, volumeId, nodeId: NODE });
      await rig.gateway.restoreSnapshot(restore);
      for (const id of ids) await rig.client.workflow.getHandle(id).result();
    },
    records,
  );
  return ids;
}

/** A snapshot for which the deployment that writes the volume is stopped, and started again. */
async function snapshotWhileStopped(rig: Rig): Promise<readonly string[]> {
  const cluster = createFakeCluster();
  const place = aPlace();
  const { node, records } = createWrittenVolume(cluster, place.deploymentId);
  const [snapshotId, volumeId, actorUserId] = [randomUUID(), randomUUID(), randomUUID()];
  const request = withVolume('one')();
  await rig.withCluster(
    { ...cluster, node: { ...cluster.node, ...node } as typeof cluster.node },
    async () => {
      await askByUpdate(rig, { ...place, request });
      await ended(cluster, request.operationId);
      await rig.gateway.takeSnapshot({ snapshotId, volumeId, nodeId: NODE, stopFor: { actorUserId } });
      await rig.client.workflow.getHandle(snapshotWorkflowId(snapshotId)).result();
      await eventually(() => {
        if (cluster.operations.size < 3) throw new Error('it is not started again yet');
      });
      for (const id of cluster.operations.keys()) await ended(cluster, id);
    },
    records,
  );
  return [snapshotWorkflowId(snapshotId), deploymentWorkflowId(place.deploymentId)];
}

/** Every part of a run, with a node that is lost and one that nobody works for. */
async function retained(rig: Rig): Promise<readonly string[]> {
  const nodes = { a: '', b: 'the node is lost', c: '' };
  const fake = createFakeRetention({ policy: { buildCacheBytes: 1 }, nodes, silent: ['c'] });
  const gateway = createRetentionGateway({ client: rig.client, timing: QUICK_RETENTION, answerMs: 20_000 });
  const request = { runId: randomUUID(), isDryRun: false, actorUserId: null };
  await fake.whileWorking(rig, async () => {
    await gateway.runRetention(request);
    await rig.client.workflow.getHandle(retentionWorkflowId(request)).result();
  });
  return [retentionWorkflowId(request)];
}

/** A run of one node alone, which has something that no record owns. */
async function orphansRemoved(rig: Rig): Promise<readonly string[]> {
  const spared = { c2: 'a record has come for it' };
  const fake = createFakeRetention({ nodes: { a: '', b: '' }, orphans: ['c1', 'c2'], spared });
  const gateway = createRetentionGateway({ client: rig.client, timing: QUICK_RETENTION, answerMs: 20_000 });
  const request = { runId: randomUUID(), isDryRun: false, actorUserId: null, onlyNodeId: 'a' };
  await fake.whileWorking(rig, async () => {
    await gateway.runRetention(request);
    await rig.client.workflow.getHandle(retentionWorkflowId(request)).result();
  });
  return [retentionWorkflowId(request)];
}

/** The watch of a node whose disk fills up, and has room again. */
async function diskFills(rig: Rig): Promise<readonly string[]> {
  const cluster = createFakeCluster();
  const workflowId = nodeWorkflowId(NODE);
  await rig.client.workflow
    .getHandle(workflowId)
    .terminate()
    .catch(() => undefined);
  const levels = ['room', 'low', 'full', 'room'] as const;
  let watches = 0;
  const watchNode: typeof cluster.node.watchNode = async () => {
    const level = levels[watches];
    watches += 1;
    if (level === undefined) await untilShutdown();
    return { state: 'ready', reason: '', disk: { level: level ?? 'room', notice: level === 'room' ? '' : `${level}` } };
  };
  const { store } = createFakeRetention({ nodes: { [NODE]: 'the node is not looked at here' } });
  await rig.withCluster(
    { ...cluster, node: { ...cluster.node, watchNode } },
    async () => {
      await rig.gateway.nodeEnrolled(NODE);
      await eventually(() => {
        if (watches <= levels.length) throw new Error(`watched ${watches} times`);
      });
    },
    store,
  );
  return [workflowId];
}

async function retentionDue(rig: Rig): Promise<readonly string[]> {
  const args: [RetentionDueInput] = [{ timing: QUICK_RETENTION }];
  const options = { workflowId: RETENTION_SCHEDULE, taskQueue: CONTROL_QUEUE, args };
  await createFakeRetention().whileWorking(rig, async () => {
    await rig.client.workflow.execute(RETENTION_DUE_WORKFLOW, options);
  });
  return [RETENTION_SCHEDULE];
}

/** Nothing is gone, and a deployment has fewer replicas than are wanted. */
async function shortHealed(rig: Rig): Promise<readonly string[]> {
  let workflowId = '';
  const reconcile = async (): Promise<void> => {
    workflowId = await reconcileOnce(rig);
  };
  await withNodes(rig, {}, reconcile, { short: [A_REPLICA.deploymentId] });
  return [workflowId];
}

/** One node is as recorded, one gives no answer, one has lost a container; the deployment is gone that is to be healed. */
async function reconciled(rig: Rig): Promise<readonly string[]> {
  const recorded = { ...NOTHING, recorded: [A_REPLICA] };
  const nodes = {
    'node-fine': { sights: [sees()], recorded },
    'node-gone': { sights: [sees('a')], recorded },
    'node-silent': { sights: undefined, recorded },
  };
  let workflowId = '';
  const reconcile = async (): Promise<void> => {
    workflowId = await reconcileOnce(rig);
  };
  await withNodes(rig, nodes, reconcile, { heal: [A_REPLICA.deploymentId] });
  return [workflowId];
}

async function alertsEvaluated(rig: Rig): Promise<readonly string[]> {
  return [(await evaluateOnce(rig)).workflowId];
}

/** By a receiver that will never take it. */
const REFUSED: FailingDelivery = { failures: 1, code: 'DELIVERY_REFUSED' };

async function notificationDelivered(rig: Rig, failing: FailingDelivery): Promise<readonly string[]> {
  return [(await deliverOnce(rig, failing)).workflowId];
}

async function keysRotated(rig: Rig, dataKeys: string[]): Promise<readonly string[]> {
  await rig.withCluster(
    createFakeCluster(),
    async () => {
      await rig.gateway.rotateKeys({ rotationId: randomUUID(), masterKeyId: 'new', actorUserId: randomUUID() });
      await rig.client.workflow.getHandle(ROTATION_WORKFLOW_ID).result();
    },
    createFakeKeys(dataKeys).keys,
  );
  return [ROTATION_WORKFLOW_ID];
}

/** The second watch is that of a process which dies; the node has enrolled anew before its silence is noticed. */
async function nodeBackBeforeLost(rig: Rig): Promise<readonly string[]> {
  const cluster = createFakeCluster();
  const nodeId = 'node-fake';
  const workflowId = nodeWorkflowId(nodeId);
  await rig.client.workflow
    .getHandle(workflowId)
    .terminate()
    .catch(() => undefined);
  const dead = Promise.withResolvers<void>();
  let watches = 0;
  const watchNode: typeof cluster.node.watchNode = async ({ known }) => {
    watches += 1;
    if (watches === 2) await dead.promise;
    if (watches > 2) await untilShutdown();
    return { state: 'ready', reason: known };
  };
  const atLeast = (count: number) =>
    eventually(() => {
      if (watches < count) throw new Error(`watched ${watches} times`);
    });
  await rig.withCluster({ ...cluster, node: { ...cluster.node, watchNode } }, async () => {
    await rig.gateway.nodeEnrolled(nodeId);
    await atLeast(2);
    await rig.gateway.nodeEnrolled(nodeId);
    await atLeast(3);
    dead.resolve();
  });
  return [workflowId];
}

/** Heartbeats until the worker that runs the activity is asked to stop. */
async function untilShutdown(): Promise<void> {
  const beat = setInterval(() => heartbeat(), 100);
  await Context.current().cancelled.catch(() => undefined);
  clearInterval(beat);
}

/** Two updates and a removal while the first deploy is being stored. */
async function requestsAtOnce(rig: Rig): Promise<readonly string[]> {
  const cluster = createFakeCluster();
  const place = aPlace();
  const removal = aRemoveRequest();
  await rig.withCluster(cluster, async () => {
    const deploys = ['app', null, null].map((createAs) => aDeployRequest({ createAs, spec: aSpec({ replicas: 2 }) }));
    // A deploy that is stored after the removal is refused.
    await Promise.allSettled([
      ...deploys.map((request) => askByUpdate(rig, { ...place, request })),
      askByUpdate(rig, { ...place, request: removal }),
    ]);
    await ended(cluster, removal.operationId);
  });
  return [deploymentWorkflowId(place.deploymentId)];
}

async function ended(cluster: ReturnType<typeof createFakeCluster>, operationId: string): Promise<void> {
  await eventually(() => {
    const state = cluster.operations.get(operationId)?.state;
    if (state === undefined || state === 'queued' || state === 'running') throw new Error(`operation is ${state}`);
  });
}

/** Rows move in two pages, the roll-up fails for good, and retention is done at once. */
async function metricsKept(rig: Rig): Promise<readonly string[]> {
  const refused = ApplicationFailure.nonRetryable('the metrics database refuses');
  return await keepMetrics(rig, [ROLL_UP_WORKFLOW, RETAIN_METRICS_WORKFLOW], {
    ...{ moveMetrics: inTurn([true, false]), retainMetrics: inTurn([false]) },
    rollUpMetrics: inTurn([refused]),
  });
}
