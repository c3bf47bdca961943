import { createHash } from 'node:crypto';
import { Context, heartbeat } from '@temporalio/activity';
import { toApplicationFailure } from '../../activities/failures.ts';
import { buildWorkflowId } from '../../contracts/build.ts';
import { deploymentWorkflowId } from '../../contracts/deployment.ts';
import { nodeWorkflowId } from '../../contracts/node.ts';
import { DomainError } from '../../domain/errors.ts';
import { aDeployRequest, aRemoveRequest, aSpec } from '../support/builders.ts';
import { eventually } from '../support/eventually.ts';
import { createFakeCluster, type FakeBehaviour, untilCancelled } from '../support/fake-cluster.ts';
import { aPlace, type startWorkflowRig } from '../support/workflow-rig.ts';

type Rig = Awaited<ReturnType<typeof startWorkflowRig>>;

/** Key of the recorded histories: public on purpose, since they hold nothing but test data. */
export const RECORDING_KEY = createHash('sha256').update('recorded histories').digest();

/** One shape of a history, and how to make it. Answers with the ids of the workflows to record. */
export interface Scenario {
  readonly name: string;
  run(rig: Rig): Promise<readonly string[]>;
}

/** Every shape that a released version has left in a database: names are kept, new shapes are added. */
export const SCENARIOS: readonly Scenario[] = [
  { name: 'deploy-two-replicas', run: (rig) => operations(rig, {}, ['deploy']) },
  { name: 'update-replaces-old', run: (rig) => operations(rig, {}, ['deploy', 'deploy']) },
  { name: 'deploy-then-remove', run: (rig) => operations(rig, {}, ['deploy', 'remove']) },
  { name: 'unhealthy-is-undone', run: (rig) => operations(rig, { onStart: refuseSecond }, ['deploy', 'deploy']) },
  { name: 'removal-cancels-rollout', run: removalCancelsRollout },
  { name: 'creation-refused', run: (rig) => operations(rig, { refuseStore: () => TAKEN }, ['refused']) },
  { name: 'build-from-dockerfile', run: buildFromDockerfile },
  { name: 'node-watched', run: nodeWatched },
  { name: 'node-back-before-lost', run: nodeBackBeforeLost },
  { name: 'requests-at-once', run: requestsAtOnce },
];

const TAKEN = new DomainError('NAME_TAKEN', 'name: app exists');

const refuseSecond: NonNullable<FakeBehaviour['onStart']> = async ({ replicaId }) => {
  if (replicaId.startsWith('r2-')) throw toApplicationFailure(new DomainError('REPLICA_UNHEALTHY', 'never listened'));
};

type Act = 'deploy' | 'remove' | 'refused';

async function operations(rig: Rig, behaviour: FakeBehaviour, acts: readonly Act[]): Promise<readonly string[]> {
  const cluster = createFakeCluster(behaviour);
  const place = aPlace();
  await rig.withCluster(cluster, async () => {
    for (const [index, act] of acts.entries()) {
      if (act === 'refused') {
        await rig.gateway.deploy({ ...place, request: aDeployRequest() }).catch(() => undefined);
      } else if (act === 'deploy') {
        const spec = aSpec({ replicas: 2 });
        const request = aDeployRequest({ createAs: index === 0 ? 'app' : null, spec });
        await rig.gateway.deploy({ ...place, request });
        await ended(cluster, request.operationId);
      } else {
        const request = aRemoveRequest();
        await rig.gateway.remove({ ...place, request });
        await ended(cluster, request.operationId);
      }
    }
  });
  return [deploymentWorkflowId(place.deploymentId)];
}

async function removalCancelsRollout(rig: Rig): Promise<readonly string[]> {
  const cluster = createFakeCluster({ onStart: untilCancelled });
  const place = aPlace();
  await rig.withCluster(cluster, async () => {
    await rig.gateway.deploy({ ...place, request: aDeployRequest() });
    await eventually(() => {
      if (!cluster.steps.includes('start r1-0')) throw new Error('not started yet');
    });
    const removal = aRemoveRequest();
    await rig.gateway.remove({ ...place, request: removal });
    await ended(cluster, removal.operationId);
  });
  return [deploymentWorkflowId(place.deploymentId)];
}

async function buildFromDockerfile(rig: Rig): Promise<readonly string[]> {
  const cluster = createFakeCluster();
  const place = aPlace();
  const source = { kind: 'dockerfile', contextSha256: 'a'.repeat(64), dockerfilePath: 'Dockerfile' } as const;
  const request = aDeployRequest({ spec: aSpec({ source }) });
  await rig.withCluster(cluster, async () => {
    await rig.gateway.deploy({ ...place, request });
    await ended(cluster, request.operationId);
  });
  return [deploymentWorkflowId(place.deploymentId), buildWorkflowId(place.deploymentId, 1)];
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
      ...deploys.map((request) => rig.gateway.deploy({ ...place, request })),
      rig.gateway.remove({ ...place, request: removal }),
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
