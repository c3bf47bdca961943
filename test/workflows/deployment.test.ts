import { WorkflowNotFoundError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toApplicationFailure } from '../../activities/failures.ts';
import { deploymentWorkflowId } from '../../contracts/deployment.ts';
import type { EnsureReplicaInput } from '../../contracts/node-activities.ts';
import { DomainError } from '../../domain/errors.ts';
import { askByUpdate } from '../support/ask-by-update.ts';
import {
  aDeployRequest,
  aGitSource,
  anOpenGitSource,
  aReadFile,
  aRemoveRequest,
  aRequest,
  aSpec,
  QUICK,
} from '../support/builders.ts';
import { eventually } from '../support/eventually.ts';
import { createFakeCluster, type FakeBehaviour, NODE, untilCancelled } from '../support/fake-cluster.ts';
import { aPlace, startWorkflowRig } from '../support/workflow-rig.ts';

let rig: Awaited<ReturnType<typeof startWorkflowRig>>;
beforeAll(async () => {
  rig = await startWorkflowRig();
}, 60_000);
afterAll(async () => await rig.stop());

type Cluster = ReturnType<typeof createFakeCluster>;

/** A deployment of its own on a cluster of its own, and the words of these tests. */
async function onCluster(
  behaviour: FakeBehaviour,
  use: (on: { cluster: Cluster; place: ReturnType<typeof aPlace> } & ReturnType<typeof wordsFor>) => Promise<void>,
): Promise<void> {
  const cluster = createFakeCluster(behaviour);
  const place = aPlace();
  await rig.withCluster(cluster, async () => {
    await use({ cluster, place, ...wordsFor(cluster, place) });
    await rig.client.workflow
      .getHandle(deploymentWorkflowId(place.deploymentId))
      .terminate()
      .catch(() => undefined);
  });
}

function wordsFor(cluster: Cluster, place: ReturnType<typeof aPlace>) {
  const deploy = (changes: Parameters<typeof aDeployRequest>[0] = {}) =>
    rig.gateway.submit({ ...place, request: aDeployRequest(changes) });
  const remove = () => rig.gateway.submit({ ...place, request: aRemoveRequest() });
  const outcome = (operationId: string) =>
    eventually(() => {
      const operation = cluster.operations.get(operationId);
      expect(operation?.state).toMatch(/succeeded|failed|superseded|cancelled/);
      return operation;
    });
  const deployed = async (changes: Parameters<typeof aDeployRequest>[0] = {}) => {
    const { operationId } = await deploy(changes);
    expect(await outcome(operationId)).toMatchObject({ state: 'succeeded' });
  };
  return { deploy, remove, outcome, deployed };
}

describe('the deployment workflow', { timeout: 60_000 }, () => {
  it('starts the replicas, switches the routes, and is done once the ingress serves them', async () => {
    await onCluster({}, async ({ cluster, deployed }) => {
      await deployed({ spec: aSpec({ replicas: 2 }) });
      expect(cluster.steps).toEqual(['start r1-0', 'start r1-1', 'switch to [r1-0,r1-1] from []', 'ingress confirmed']);
    });
  });

  it('removes the old revision only after the ingress serves the new one', async () => {
    await onCluster({}, async ({ cluster, deployed }) => {
      await deployed();
      cluster.steps.length = 0;
      await deployed({ createAs: null });
      expect(cluster.steps).toEqual(['start r2-0', 'switch to [r2-0] from [r1-0]', 'ingress confirmed', 'remove r1-0']);
      expect([...cluster.containers]).toEqual(['r2-0']);
    });
  });

  /** A daemon that stays in trouble, as long as there may be another one. */
  const leaveOnce = async ({ replicaId, mayLeave }: EnsureReplicaInput) => {
    if (replicaId === 'r1-0' && mayLeave) throw toApplicationFailure(new DomainError('NODE_DEGRADED', 'no answer'));
  };

  it('starts a replica on another node when the daemon of the one that was chosen is in trouble', async () => {
    await onCluster({ onStart: leaveOnce }, async ({ cluster, deployed }) => {
      await deployed();
      expect(cluster.steps).toEqual([
        ...['start r1-0', `reserve, not on [${NODE}]`, 'doom [r1-0]'],
        ...['start r1-1', 'switch to [r1-1] from []', 'ingress confirmed'],
      ]);
    });
  });

  it('waits for that daemon where there is no other place', async () => {
    const refuseReserve = () => new DomainError('NO_NODE_READY', 'none of 1 node is ready');
    await onCluster({ onStart: leaveOnce, refuseReserve }, async ({ cluster, deployed }) => {
      await deployed();
      expect(cluster.steps).toEqual(['start r1-0', 'start r1-0', 'switch to [r1-0] from []', 'ingress confirmed']);
    });
  });

  it('keeps the old revision serving when the new one never becomes healthy, and leaves nothing of it', async () => {
    const onStart: FakeBehaviour['onStart'] = async ({ replicaId }) => {
      if (replicaId === 'r2-1') throw toApplicationFailure(new DomainError('REPLICA_UNHEALTHY', 'r2-1 never listened'));
    };
    await onCluster({ onStart }, async ({ cluster, deploy, deployed, outcome }) => {
      await deployed({ spec: aSpec({ replicas: 2 }) });
      const { operationId } = await deploy({ createAs: null, spec: aSpec({ replicas: 2 }) });
      expect(await outcome(operationId)).toMatchObject({ state: 'failed', failure: { code: 'REPLICA_UNHEALTHY' } });
      expect([...cluster.containers].sort()).toEqual(['r1-0', 'r1-1']);
      expect([...cluster.replicas.values()].every((replica) => replica.serving && replica.revision === 1)).toBe(true);
    });
  });

  it('routes back to the old revision when the ingress was never seen serving the new one', async () => {
    let refuse = false;
    const onIngress = async (): Promise<void> => {
      if (!refuse) return;
      refuse = false;
      throw toApplicationFailure(new DomainError('INSUFFICIENT_CAPACITY', 'a failure that no retry helps'));
    };
    await onCluster({ onIngress }, async ({ cluster, deploy, deployed, outcome }) => {
      await deployed();
      refuse = true;
      const { operationId } = await deploy({ createAs: null });
      expect(await outcome(operationId)).toMatchObject({ state: 'failed' });
      expect(cluster.steps.slice(-3)).toEqual(['switch to [r1-0] from [r2-0]', 'ingress confirmed', 'remove r2-0']);
      expect([...cluster.containers]).toEqual(['r1-0']);
    });
  });

  it('builds once before it starts a replica from a Dockerfile', async () => {
    await onCluster({}, async ({ cluster, deployed }) => {
      const source = { kind: 'dockerfile', contextSha256: 'a'.repeat(64), dockerfilePath: 'Dockerfile' } as const;
      await deployed({ spec: aSpec({ source, replicas: 2 }) });
      expect(cluster.steps.slice(0, 2)).toEqual(['build', 'record build']);
      expect(cluster.steps.filter((step) => step === 'build')).toHaveLength(1);
    });
  });

  it('looks a ref up once, and builds that commit also when the first attempt finds the server away', async () => {
    let attempts = 0;
    const onBuild = async (): Promise<void> => {
      attempts += 1;
      if (attempts === 1) throw toApplicationFailure(new DomainError('SOURCE_UNAVAILABLE', 'the server is away'));
    };
    const onResolve = async () => 'a'.repeat(40);
    await onCluster({ onBuild, onResolve }, async ({ cluster, deployed }) => {
      await deployed({ spec: aSpec({ source: aGitSource() }) });
      const commit = 'a'.repeat(40);
      const steps = ['look up main', `record ${commit}`, `build ${commit}`, `build ${commit}`, 'record build'];
      expect(cluster.steps.slice(0, 5)).toEqual(steps);
    });
  });

  it('reads a repository first where nothing says what it is, and builds the image of that same commit', async () => {
    await onCluster({}, async ({ cluster, deployed }) => {
      await deployed({ spec: aSpec({ source: anOpenGitSource() }) });
      const commit = 'c'.repeat(40);
      const steps = ['look up main', `record ${commit}`, `read ${commit}`, 'adopt image', `build ${commit}`];
      expect(cluster.steps.slice(0, 5)).toEqual(steps);
    });
  });

  it('rolls out the services of the Compose file at one commit, and with a push those of the next one', async () => {
    const commits = ['a'.repeat(40), 'b'.repeat(40)] as const;
    const files = {
      [commits[0]]: aReadFile({ web: 'built', cache: 'pulled' }),
      [commits[1]]: aReadFile({ web: 'built', jobs: 'built' }),
    };
    let head: string = commits[0];
    const onResolve = async () => head;
    const onRead = async (commit: string) => files[commit] ?? null;
    await onCluster({ onResolve, onRead }, async ({ cluster, place, deployed, outcome }) => {
      await deployed({ spec: aSpec({ source: anOpenGitSource({ composePath: '' }) }) });
      const [, ...begun] = ['look up main', `record ${head}`, `read ${head}`, 'adopt compose', `build ${head}`];
      expect(cluster.steps.slice(1, 5)).toEqual(begun);
      expect([...cluster.replicas.values()].map(({ service }) => service).sort()).toEqual(['cache', 'web']);

      head = commits[1];
      const change = { service: null, replace: {}, setVariables: [], unsetVariables: [] };
      const push = aRequest({ kind: 'update', change, freshSource: true });
      await rig.gateway.submit({ ...place, request: push });
      expect(await outcome(push.operationId)).toMatchObject({ state: 'succeeded' });
      const serving = [...cluster.replicas.values()].filter((replica) => replica.serving);
      expect(serving.map(({ service, revision }) => `${service} r${revision}`).sort()).toEqual(['jobs r2', 'web r2']);
    });
  });

  it('fails with the reason when a Compose file is refused, and the old services go on', async () => {
    let refusal: DomainError | undefined;
    const onRead = async () => {
      if (refusal) throw toApplicationFailure(refusal);
      return aReadFile({ web: 'pulled' });
    };
    await onCluster({ onRead }, async ({ cluster, deployed, deploy, outcome }) => {
      const spec = aSpec({ source: anOpenGitSource({ composePath: '' }) });
      await deployed({ spec });
      refusal = new DomainError('SOURCE_REFUSED', 'compose.yaml of commit cccc: services.web.privileged: found true');
      cluster.steps.length = 0;
      const { operationId } = await deploy({ createAs: null, spec });
      const failure = { code: 'SOURCE_REFUSED', message: refusal.message };
      expect(await outcome(operationId)).toMatchObject({ state: 'failed', failure });
      expect(cluster.steps.filter((step) => /start|switch|remove/.test(step))).toEqual([]);
      expect([...cluster.containers]).toEqual(['r1-0']);
    });
  });

  it('waits for a server that is away for a bounded time, and not at all for what it refuses', async () => {
    const error = { current: new DomainError('SOURCE_UNAVAILABLE', 'the server is away') };
    const onResolve = async () => {
      throw toApplicationFailure(error.current);
    };
    await onCluster({ onResolve }, async ({ cluster, deploy, outcome }) => {
      const away = await deploy({ spec: aSpec({ source: aGitSource() }) });
      expect(await outcome(away.operationId)).toMatchObject({
        state: 'failed',
        failure: { code: 'SOURCE_UNAVAILABLE' },
      });
      expect(cluster.steps.filter((step) => step === 'look up main').length).toBeGreaterThan(1);
      cluster.steps.length = 0;
      error.current = new DomainError('SOURCE_REFUSED', 'no branch or tag "main"');
      const refused = await deploy({ createAs: null, spec: aSpec({ source: aGitSource() }) });
      const failure = { code: 'SOURCE_REFUSED', message: 'no branch or tag "main"' };
      expect(await outcome(refused.operationId)).toMatchObject({ state: 'failed', failure });
      expect(cluster.steps).toEqual(['look up main']);
    });
  });

  it('lets a newer deploy supersede the one that waits, never the one under way', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await onCluster({ onStart: () => held }, async ({ cluster, deploy, outcome }) => {
      const first = await deploy();
      await eventually(() => expect(cluster.steps).toContain('start r1-0'));
      const second = await deploy({ createAs: null });
      const third = await deploy({ createAs: null });
      release();
      expect(await outcome(second.operationId)).toMatchObject({ state: 'superseded' });
      expect(await outcome(first.operationId)).toMatchObject({ state: 'succeeded' });
      expect(await outcome(third.operationId)).toMatchObject({ state: 'succeeded', revision: 3 });
    });
  });

  it('cancels a rollout for a removal, which ends with nothing left and the workflow closed', async () => {
    await onCluster({ onStart: untilCancelled }, async ({ cluster, place, deploy, remove, outcome }) => {
      const { operationId } = await deploy();
      await eventually(() => expect(cluster.steps).toContain('start r1-0'));
      const removal = await remove();
      expect(await outcome(operationId)).toMatchObject({ state: 'cancelled', failure: { code: 'CANCELLED' } });
      expect(await outcome(removal.operationId)).toMatchObject({ state: 'succeeded' });
      await rig.client.workflow.getHandle(deploymentWorkflowId(place.deploymentId)).result();
      expect(cluster.containers.size).toBe(0);
      expect(cluster.isPurged()).toBe(true);
    });
  });

  it('answers a repeated request with the same operation and carries it out once', async () => {
    await onCluster({}, async ({ cluster, place, outcome }) => {
      const request = aDeployRequest();
      const answers = await Promise.all(Array.from({ length: 10 }, () => rig.gateway.submit({ ...place, request })));
      expect(new Set(answers.map((answer) => answer.operationId)).size).toBe(1);
      await outcome(request.operationId);
      expect(await rig.gateway.submit({ ...place, request })).toMatchObject({ revision: 1 });
      expect(cluster.steps.filter((step) => step === 'start r1-0')).toHaveLength(1);
    });
  });

  it('refuses the same key with other content, by its code', async () => {
    await onCluster({}, async ({ place, outcome }) => {
      const request = aDeployRequest();
      await rig.gateway.submit({ ...place, request });
      const other = { ...request, requestHash: 'f'.repeat(64) };
      await expect(rig.gateway.submit({ ...place, request: other })).rejects.toMatchObject({
        code: 'IDEMPOTENCY_CONFLICT',
      });
      await outcome(request.operationId);
    });
  });

  const taken = () => new DomainError('NAME_TAKEN', 'name: app exists', { field: 'name', hint: 'Choose another.' });

  it('does not begin when the creation is refused', async () => {
    await onCluster({ refuseStore: taken }, async ({ place, deploy }) => {
      await expect(deploy()).rejects.toMatchObject({ code: 'NAME_TAKEN', field: 'name', hint: 'Choose another.' });
      const workflow = rig.client.workflow.getHandle(deploymentWorkflowId(place.deploymentId));
      await expect(workflow.describe()).rejects.toThrow(WorkflowNotFoundError);
    });
  });

  it('is told by an API of before as well, and ends when that is refused', async () => {
    await onCluster({}, async ({ place, outcome }) => {
      const request = aDeployRequest();
      await askByUpdate(rig, { ...place, request });
      expect(await outcome(request.operationId)).toMatchObject({ state: 'succeeded' });
    });
    await onCluster({ refuseStore: taken }, async ({ place }) => {
      await expect(askByUpdate(rig, { ...place, request: aDeployRequest() })).rejects.toMatchObject({
        ...{ code: 'NAME_TAKEN', field: 'name', hint: 'Choose another.' },
      });
      await rig.client.workflow.getHandle(deploymentWorkflowId(place.deploymentId)).result();
    });
  });

  it('ends when it is told late of a deployment that has gone', async () => {
    await onCluster({}, async ({ place }) => {
      await rig.gateway.tellStored(place);
      await rig.client.workflow.getHandle(deploymentWorkflowId(place.deploymentId)).result();
    });
  });

  it('carries out once what it is told of again and again', async () => {
    await onCluster({}, async ({ place, cluster, outcome }) => {
      const request = aDeployRequest();
      await rig.gateway.submit({ ...place, request });
      for (let again = 0; again < 5; again += 1) await rig.gateway.tellStored(place);
      expect(await outcome(request.operationId)).toMatchObject({ state: 'succeeded' });
      await rig.gateway.tellStored(place);
      const handle = rig.client.workflow.getHandle(deploymentWorkflowId(place.deploymentId));
      await eventually(async () => expect(await handle.query('view')).toMatchObject({ current: null, pending: [] }));
      expect(cluster.steps.filter((step) => step.startsWith('start '))).toHaveLength(1);
    });
  });

  it('creates before it does what came right after, although that makes a revision as well', async () => {
    await onCluster({}, async ({ place, cluster, outcome }) => {
      const scale = aRequest({ kind: 'scale', service: 'app', replicas: 2 });
      const requests = [aDeployRequest(), scale, aDeployRequest({ createAs: null })];
      for (const request of requests) await cluster.storeOperation({ ...place, request });
      await rig.gateway.tellStored(place);
      for (const { operationId } of requests) expect(await outcome(operationId)).toMatchObject({ state: 'succeeded' });
    });
  });

  it('keeps the newest in line, however often it is told while an older one is being superseded', async () => {
    const held = Promise.withResolvers<void>();
    await onCluster({ onStart: () => held.promise }, async ({ place, cluster, deploy, outcome }) => {
      await deploy();
      await eventually(() => expect(cluster.steps).toContain('start r1-0'));
      const handle = rig.client.workflow.getHandle(deploymentWorkflowId(place.deploymentId));
      const [older, newer] = [aDeployRequest({ createAs: null }), aDeployRequest({ createAs: null })];
      await rig.gateway.submit({ ...place, request: older });
      await eventually(async () => expect(await handle.query('view')).toMatchObject({ pending: [{ revision: 2 }] }));
      await cluster.storeOperation({ ...place, request: newer });
      await Promise.all(Array.from({ length: 10 }, () => rig.gateway.tellStored(place)));
      await eventually(() => expect(cluster.operations.get(older.operationId)?.state).toBe('superseded'));
      held.resolve();
      expect(await outcome(newer.operationId)).toMatchObject({ state: 'succeeded', revision: 3 });
    });
  });

  it('carries out what was stored while nobody could tell it', async () => {
    await onCluster({}, async ({ place, cluster, outcome }) => {
      const requests = [aDeployRequest(), aDeployRequest({ createAs: null })];
      for (const request of requests) await cluster.storeOperation({ ...place, request });
      await rig.gateway.tellStored(place);
      expect(await outcome(requests[1]?.operationId ?? '')).toMatchObject({ state: 'succeeded' });
      expect(cluster.operations.get(requests[0]?.operationId ?? '')?.state).toBe('succeeded');
    });
  });

  it('looks at the ingress again soon after the look of an orchestrator that says nothing any more', async () => {
    const gateway = rig.openGateway({ ...QUICK, heartbeatMs: 120_000, ingressMs: 120_000 });
    const over = Promise.withResolvers<void>();
    let looks = 0;
    const onIngress: FakeBehaviour['onIngress'] = async () => {
      looks += 1;
      if (looks === 1) await over.promise;
    };
    await onCluster({ onIngress }, async ({ cluster, place, outcome }) => {
      const { operationId } = await gateway.submit({ ...place, request: aDeployRequest() });
      try {
        expect(await outcome(operationId)).toMatchObject({ state: 'succeeded' });
      } finally {
        over.resolve();
      }
      expect(looks).toBe(2);
      expect(cluster.steps).toContain('ingress confirmed');
    });
  });

  it('needs at most 25 history events for a rollout of one replica', async () => {
    await onCluster({}, async ({ place, deployed }) => {
      await deployed();
      const handle = rig.client.workflow.getHandle(deploymentWorkflowId(place.deploymentId));
      await eventually(async () => expect(await handle.query('view')).toMatchObject({ current: null }));
      const { events } = await handle.fetchHistory();
      expect(events?.length).toBeLessThanOrEqual(25);
    });
  });
});
