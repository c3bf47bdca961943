import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toApplicationFailure } from '../../activities/failures.ts';
import { type Control, deploymentWorkflowId, type OperationRequest, VIEW_QUERY } from '../../contracts/deployment.ts';
import { DomainError } from '../../domain/errors.ts';
import type { RolloutPolicy } from '../../domain/rollout-policy.ts';
import { aDeployRequest, aRequest, aSpec } from '../support/builders.ts';
import { eventually } from '../support/eventually.ts';
import { createFakeCluster, type FakeBehaviour, untilCancelled } from '../support/fake-cluster.ts';
import { aPlace, startWorkflowRig } from '../support/workflow-rig.ts';

let rig: Awaited<ReturnType<typeof startWorkflowRig>>;
beforeAll(async () => {
  rig = await startWorkflowRig();
}, 60_000);
afterAll(async () => await rig.stop());

type Cluster = ReturnType<typeof createFakeCluster>;

function wordsFor(cluster: Cluster, place: ReturnType<typeof aPlace>) {
  const submit = async (request: OperationRequest) => (await rig.gateway.submit({ ...place, request })).operationId;
  const outcome = (operationId: string) =>
    eventually(() => {
      const operation = cluster.operations.get(operationId);
      expect(operation?.state).toMatch(/succeeded|failed|superseded|cancelled/);
      return operation;
    });
  const deploy = (changes: Parameters<typeof aDeployRequest>[0] = {}) => submit(aDeployRequest(changes));
  const succeed = async (request: OperationRequest) => {
    expect(await outcome(await submit(request))).toMatchObject({ state: 'succeeded' });
  };
  const say = async (control: Control, operationId: string) => {
    const idempotencyKey = randomUUID();
    const request = { control, operationId, idempotencyKey, requestHash: 'a'.repeat(64), actorUserId: randomUUID() };
    await rig.gateway.control({ ...place, request });
  };
  const sawStep = (step: string) => eventually(() => expect(cluster.steps).toContain(step));
  /** A deployment whose first revision runs; its steps are forgotten. */
  const running = async (replicas = 2, rollout?: RolloutPolicy) => {
    await succeed(aDeployRequest({ spec: aSpec({ replicas, ...(rollout ? { rollout } : {}) }) }));
    cluster.steps.length = 0;
  };
  return { submit, outcome, deploy, succeed, say, sawStep, running };
}

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

const running = ({ replicas }: Cluster): string[] =>
  [...replicas].flatMap(([id, { serving }]) => (serving ? [id] : [])).sort();

const rolling = (maxSurgePercent: number, approval = false): RolloutPolicy => {
  return { strategy: 'rolling', maxSurgePercent, maxUnavailablePercent: 0, approval };
};

describe('an operation', { timeout: 60_000 }, () => {
  it('scales up and down without touching what fits', async () => {
    await onCluster({}, async ({ cluster, running: deployed, succeed }) => {
      await deployed(2);
      await succeed(aRequest({ kind: 'scale', service: 'app', replicas: 3 }));
      expect(cluster.steps).toEqual(['start r1-2', 'switch to [r1-2] from []', 'ingress confirmed']);
      await succeed(aRequest({ kind: 'scale', service: 'app', replicas: 1 }));
      expect(running(cluster)).toEqual(['r1-0']);
      expect([...cluster.containers]).toEqual(['r1-0']);
    });
  });

  it('restarts by fresh replicas of the same revision, old ones last', async () => {
    await onCluster({}, async ({ cluster, running: deployed, succeed }) => {
      await deployed(2);
      await succeed(aRequest({ kind: 'restart' }));
      expect(cluster.steps.slice(0, 2).sort()).toEqual(['start r1-2', 'start r1-3']);
      expect(cluster.steps[2]).toBe('switch to [r1-2,r1-3] from [r1-0,r1-1]');
      expect(running(cluster)).toEqual(['r1-2', 'r1-3']);
      expect([...cluster.containers].sort()).toEqual(['r1-2', 'r1-3']);
    });
  });

  it('stops to nothing, and starts what was stopped', async () => {
    await onCluster({}, async ({ cluster, running: deployed, succeed, submit, outcome }) => {
      await deployed(2);
      await succeed(aRequest({ kind: 'stop' }));
      expect(cluster.containers.size).toBe(0);
      const restart = await submit(aRequest({ kind: 'restart' }));
      expect(await outcome(restart)).toMatchObject({ state: 'failed', failure: { code: 'NOT_DEPLOYED' } });
      await succeed(aRequest({ kind: 'start' }));
      expect(running(cluster)).toEqual(['r1-2', 'r1-3']);
    });
  });

  it('returns to an older revision by the images that it ran, without a build', async () => {
    const source = { kind: 'dockerfile', contextSha256: 'a'.repeat(64), dockerfilePath: 'Dockerfile' } as const;
    await onCluster({}, async ({ cluster, succeed }) => {
      await succeed(aDeployRequest({ spec: aSpec({ source }) }));
      await succeed(aDeployRequest({ createAs: null }));
      cluster.steps.length = 0;
      await succeed(aRequest({ kind: 'rollback', toRevision: 1 }));
      expect(cluster.steps).not.toContain('build');
      expect(running(cluster)).toEqual(['r3-0']);
    });
  });

  it('keeps a change that was made while a build was under way', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const source = { kind: 'dockerfile', contextSha256: 'a'.repeat(64), dockerfilePath: 'Dockerfile' } as const;
    await onCluster({ onBuild: () => held }, async ({ cluster, deploy, submit, outcome, sawStep }) => {
      const first = await deploy({ spec: aSpec({ source, replicas: 1 }) });
      await sawStep('build');
      const change = { service: null, replace: { replicas: 3 }, setVariables: [], unsetVariables: [] };
      const second = await submit(aRequest({ kind: 'update', change }));
      release();
      expect(await outcome(first)).toMatchObject({ state: 'succeeded' });
      expect(await outcome(second)).toMatchObject({ state: 'succeeded', revision: 2 });
      expect(running(cluster)).toEqual(['r2-0', 'r2-1', 'r2-2']);
    });
  });

  it('goes in batches where there is no room for all, and never serves with less', async () => {
    await onCluster({}, async ({ cluster, running: deployed, succeed }) => {
      await deployed(2, rolling(50));
      await succeed(aDeployRequest({ createAs: null, spec: aSpec({ replicas: 2, rollout: rolling(50) }) }));
      expect(cluster.steps).toEqual([
        ...['start r2-0', 'switch to [r2-0] from [r1-0]', 'ingress confirmed', 'remove r1-0'],
        ...['start r2-1', 'switch to [r2-1] from [r1-1]', 'ingress confirmed', 'remove r1-1'],
      ]);
    });
  });

  it('brings old replicas back that a later batch has made missing', async () => {
    const onStart: FakeBehaviour['onStart'] = async ({ replicaId }) => {
      if (replicaId === 'r2-1') throw toApplicationFailure(new DomainError('REPLICA_UNHEALTHY', 'r2-1 never listened'));
    };
    await onCluster({ onStart }, async ({ cluster, running: deployed, deploy, outcome }) => {
      await deployed(2, rolling(50));
      const failed = await deploy({ createAs: null, spec: aSpec({ replicas: 2, rollout: rolling(50) }) });
      expect(await outcome(failed)).toMatchObject({ state: 'failed', failure: { code: 'REPLICA_UNHEALTHY' } });
      expect(running(cluster)).toEqual(['r1-1', 'r1-2']);
      expect([...cluster.containers].sort()).toEqual(['r1-1', 'r1-2']);
    });
  });

  it('takes the old ones away first where two must never run', async () => {
    const rollout = { strategy: 'recreate', approval: false } as const;
    await onCluster({}, async ({ cluster, running: deployed, succeed }) => {
      await deployed(1, rollout);
      await succeed(aDeployRequest({ createAs: null, spec: aSpec({ rollout }) }));
      expect(cluster.steps).toEqual([
        ...['switch to [] from [r1-0]', 'ingress confirmed', 'remove r1-0'],
        ...['start r2-0', 'switch to [r2-0] from []', 'ingress confirmed'],
      ]);
    });
  });

  it('starts what it recreated again when the new one fails', async () => {
    const rollout = { strategy: 'recreate', approval: false } as const;
    const onStart: FakeBehaviour['onStart'] = async ({ replicaId }) => {
      if (replicaId === 'r2-0') throw toApplicationFailure(new DomainError('REPLICA_EXITED', 'r2-0 exited'));
    };
    await onCluster({ onStart }, async ({ cluster, running: deployed, deploy, outcome }) => {
      await deployed(1, rollout);
      const failed = await deploy({ createAs: null, spec: aSpec({ rollout }) });
      expect(await outcome(failed)).toMatchObject({ state: 'failed' });
      expect(running(cluster)).toEqual(['r1-1']);
      expect([...cluster.containers]).toEqual(['r1-1']);
    });
  });

  it('goes back when what it started died before the old ones went', async () => {
    await onCluster({ unhealthy: () => ['r2-0'] }, async ({ cluster, running: deployed, deploy, outcome }) => {
      await deployed(1);
      const failed = await deploy({ createAs: null });
      expect(await outcome(failed)).toMatchObject({ state: 'failed', failure: { code: 'REPLICA_UNHEALTHY' } });
      expect(running(cluster)).toEqual(['r1-0']);
      expect([...cluster.containers]).toEqual(['r1-0']);
    });
  });
});

describe('a person', { timeout: 60_000 }, () => {
  it('cancels what is under way, and what was before it serves with nothing left', async () => {
    let hang = false;
    const onStart = async (): Promise<void> => {
      if (hang) await untilCancelled();
    };
    await onCluster({ onStart }, async ({ cluster, running: deployed, deploy, outcome, say, sawStep }) => {
      await deployed(2);
      hang = true;
      const operationId = await deploy({ createAs: null });
      await sawStep('start r2-0');
      await say('cancel', operationId);
      expect(await outcome(operationId)).toMatchObject({ state: 'cancelled' });
      expect(running(cluster)).toEqual(['r1-0', 'r1-1']);
      expect([...cluster.containers].sort()).toEqual(['r1-0', 'r1-1']);
    });
  });

  it('cancels a step that just then fails of what would have passed', async () => {
    let hang = false;
    const onStart = async (): Promise<void> => {
      if (!hang) return;
      await untilCancelled().catch(() => undefined);
      throw toApplicationFailure(new DomainError('DOCKER_UNAVAILABLE', 'cannot look: docker cannot be reached'));
    };
    await onCluster({ onStart }, async ({ cluster, running: deployed, deploy, outcome, say, sawStep }) => {
      await deployed(1);
      hang = true;
      const operationId = await deploy({ createAs: null });
      await sawStep('start r2-0');
      await say('cancel', operationId);
      expect(await outcome(operationId)).toMatchObject({ state: 'cancelled' });
      expect(running(cluster)).toEqual(['r1-0']);
    });
  });

  it('cancels behind the switch, and requests go to the old revision again', async () => {
    let hang = false;
    const onIngress = async (): Promise<void> => {
      if (!hang) return;
      hang = false;
      await untilCancelled();
    };
    await onCluster({ onIngress }, async ({ cluster, running: deployed, deploy, outcome, say, sawStep }) => {
      await deployed(1);
      hang = true;
      const operationId = await deploy({ createAs: null });
      await sawStep('switch to [r2-0] from [r1-0]');
      await say('cancel', operationId);
      expect(await outcome(operationId)).toMatchObject({ state: 'cancelled' });
      expect(cluster.steps).toContain('switch to [r1-0] from [r2-0]');
      expect([...cluster.containers]).toEqual(['r1-0']);
    });
  });

  it('cannot cancel any more once the last old replica is being removed', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await onCluster({ onRemove: () => held }, async ({ cluster, running: deployed, deploy, outcome, say, sawStep }) => {
      await deployed(1);
      const operationId = await deploy({ createAs: null });
      await sawStep('remove r1-0');
      await say('cancel', operationId);
      release();
      expect(await outcome(operationId)).toMatchObject({ state: 'succeeded' });
      expect(running(cluster)).toEqual(['r2-0']);
    });
  });

  it('cancels what waits in line, which is then never carried out', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await onCluster({ onStart: () => held }, async ({ cluster, place, deploy, outcome, say, succeed }) => {
      const first = await deploy();
      await eventually(() => expect(cluster.steps).toContain('start r1-0'));
      const second = await deploy({ createAs: null });
      await say('cancel', second);
      const workflow = rig.client.workflow.getHandle(deploymentWorkflowId(place.deploymentId));
      expect(await workflow.query(VIEW_QUERY)).toMatchObject({ current: { operationId: first }, pending: [] });
      release();
      expect(await outcome(second)).toMatchObject({ state: 'cancelled' });
      expect(await outcome(first)).toMatchObject({ state: 'succeeded' });
      await succeed(aRequest({ kind: 'restart' }));
      expect(cluster.steps.filter((step) => step.startsWith('start'))).toEqual(['start r1-0', 'start r1-1']);
      expect(running(cluster)).toEqual(['r1-1']);
    });
  });

  it('lets a newer deploy cancel the one under way', async () => {
    const onStart: FakeBehaviour['onStart'] = async ({ replicaId }) => {
      if (replicaId === 'r1-0') await untilCancelled();
    };
    await onCluster({ onStart }, async ({ cluster, deploy, outcome, sawStep }) => {
      const first = await deploy();
      await sawStep('start r1-0');
      const second = await deploy({ createAs: null, supersedeRunning: true });
      expect(await outcome(first)).toMatchObject({
        state: 'cancelled',
        failure: { message: 'cancelled for a newer operation' },
      });
      expect(await outcome(second)).toMatchObject({ state: 'succeeded' });
      expect([...cluster.containers]).toEqual(['r2-0']);
    });
  });

  it('pauses between two steps and resumes, although the workers restart meanwhile', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const cluster = createFakeCluster({ onStart: () => held });
    const place = aPlace();
    const words = wordsFor(cluster, place);
    let operationId = '';
    await rig.withCluster(cluster, async () => {
      operationId = await words.deploy();
      await words.sawStep('start r1-0');
      await words.say('pause', operationId);
      release();
      await words.sawStep('waits for a person to resume it');
    });
    await rig.withCluster(cluster, async () => {
      expect(cluster.operations.get(operationId)?.state).toBe('waiting');
      expect(running(cluster)).toEqual([]);
      await words.say('resume', operationId);
      expect(await words.outcome(operationId)).toMatchObject({ state: 'succeeded' });
      expect(running(cluster)).toEqual(['r1-0']);
      await rig.client.workflow.getHandle(deploymentWorkflowId(place.deploymentId)).terminate();
    });
  });

  it('approves before requests reach a new revision, or cancels it there', async () => {
    await onCluster({}, async ({ cluster, running: deployed, deploy, outcome, say, sawStep }) => {
      await deployed(1);
      const rollout = rolling(100, true);
      const refused = await deploy({ createAs: null, spec: aSpec({ rollout }) });
      await sawStep('waits for a person to approve that it goes on');
      expect(running(cluster)).toEqual(['r1-0']);
      await say('cancel', refused);
      expect(await outcome(refused)).toMatchObject({ state: 'cancelled' });
      cluster.steps.length = 0;
      const approved = await deploy({ createAs: null, spec: aSpec({ rollout }) });
      await sawStep('waits for a person to approve that it goes on');
      await say('approve', approved);
      expect(await outcome(approved)).toMatchObject({ state: 'succeeded' });
      expect(running(cluster)).toEqual(['r3-0']);
    });
  });

  it('refuses words about what is over', async () => {
    await onCluster({}, async ({ deploy, outcome, say }) => {
      const operationId = await deploy();
      await outcome(operationId);
      await expect(say('cancel', operationId)).rejects.toMatchObject({ code: 'OPERATION_ENDED' });
    });
  });
});

describe('a canary', { timeout: 60_000 }, () => {
  const gate = { kind: 'errors', waitMs: 1, maxErrorPercent: 1, minRequests: 1 } as const;
  const rollout: RolloutPolicy = {
    strategy: 'canary',
    steps: [
      { weightPercent: 10, gate },
      { weightPercent: 50, gate: { kind: 'approval' } },
    ],
  };

  it('gets a growing share of the requests, and everything at the end', async () => {
    await onCluster({}, async ({ cluster, running: deployed, deploy, outcome, say, sawStep }) => {
      await deployed(2);
      const operationId = await deploy({ createAs: null, spec: aSpec({ replicas: 2, rollout }) });
      await sawStep('waits for a person to approve that it goes on');
      await say('approve', operationId);
      expect(await outcome(operationId)).toMatchObject({ state: 'succeeded' });
      expect(cluster.steps.filter((step) => /switch|watch/.test(step))).toEqual([
        ...['switch to [r2-0] from [] at 10 %', 'watch revision 2', 'switch to [] from [] at 50 %'],
        'switch to [r2-1] from [r1-0,r1-1]',
      ]);
      expect(running(cluster)).toEqual(['r2-0', 'r2-1']);
    });
  });

  it('is taken back when its answers are bad', async () => {
    const onErrors = async (): Promise<void> => {
      throw toApplicationFailure(new DomainError('CANARY_REFUSED', 'revision 2 was taken back'));
    };
    await onCluster({ onErrors }, async ({ cluster, running: deployed, deploy, outcome }) => {
      await deployed(2);
      const operationId = await deploy({ createAs: null, spec: aSpec({ replicas: 2, rollout }) });
      expect(await outcome(operationId)).toMatchObject({ state: 'failed', failure: { code: 'CANARY_REFUSED' } });
      expect(running(cluster)).toEqual(['r1-0', 'r1-1']);
      expect([...cluster.containers].sort()).toEqual(['r1-0', 'r1-1']);
    });
  });
});

describe('a move with volumes', { timeout: 120_000 }, () => {
  const along = () => aRequest({ kind: 'move', move: { from: null, to: 'node-other', replicas: null, volumes: true } });
  const volumes = [{ volume: 'data', path: '/data', readOnly: false }];
  const writer = () => aDeployRequest({ spec: aSpec({ replicas: 1, volumes }) });

  it('carries them after what wrote them is gone and before anything is started', async () => {
    await onCluster({}, async ({ cluster, submit, outcome, succeed }) => {
      await succeed(writer());
      cluster.steps.length = 0;
      expect(await outcome(await submit(along()))).toMatchObject({ state: 'succeeded' });
      expect(cluster.steps).toEqual([
        ...['switch to [] from [r1-0]', 'ingress confirmed', 'remove r1-0'],
        ...['carry copy 1', 'volumes are carried', 'start r1-1', 'switch to [r1-1] from []', 'ingress confirmed'],
      ]);
    });
  });

  it('brings back what was when they cannot be carried, or when somebody cancels', async () => {
    const full = async (): Promise<never> => {
      throw toApplicationFailure(new DomainError('INSUFFICIENT_CAPACITY', 'the disk is full'));
    };
    for (const onCarry of [full, untilCancelled]) {
      await onCluster({ onCarry }, async ({ cluster, submit, outcome, succeed, say, sawStep }) => {
        await succeed(writer());
        cluster.steps.length = 0;
        const operationId = await submit(along());
        await sawStep('carry copy 1');
        if (onCarry === untilCancelled) await say('cancel', operationId);
        const state = onCarry === untilCancelled ? 'cancelled' : 'failed';
        expect(await outcome(operationId)).toMatchObject({ state });
        expect(cluster.steps).not.toContain('volumes are carried');
        expect(cluster.steps.slice(-3)).toEqual(['start r1-2', 'switch to [r1-2] from []', 'ingress confirmed']);
      });
    }
  });
});
