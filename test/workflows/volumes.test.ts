import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toApplicationFailure } from '../../activities/failures.ts';
import { restoreWorkflowId, snapshotWorkflowId } from '../../contracts/volumes.ts';
import { DomainError } from '../../domain/errors.ts';
import { aDeployRequest, aRequest, aSpec } from '../support/builders.ts';
import { eventually } from '../support/eventually.ts';
import { createFakeCluster, NODE } from '../support/fake-cluster.ts';
import { createFakeVolumes, createWrittenVolume } from '../support/fake-volumes.ts';
import { aPlace, startWorkflowRig } from '../support/workflow-rig.ts';

let rig: Awaited<ReturnType<typeof startWorkflowRig>>;
beforeAll(async () => {
  rig = await startWorkflowRig();
}, 60_000);
afterAll(async () => await rig.stop());

const data = { volume: 'data', path: '/data', readOnly: false };
const aWriter = (image: string) =>
  aSpec({ replicas: 1, volumes: [data], source: { kind: 'image', reference: `${image}:1` } });

async function deployTwice(cluster: ReturnType<typeof createFakeCluster>): Promise<void> {
  const place = aPlace();
  const first = aDeployRequest({ spec: aWriter('one') });
  const second = { ...aDeployRequest({ spec: aWriter('two') }), createAs: null };
  await rig.withCluster(cluster, async () => {
    for (const request of [first, second]) {
      await rig.gateway.submit({ ...place, request });
      await eventually(() => {
        const { state } = cluster.operations.get(request.operationId) ?? {};
        if (state === 'queued' || state === 'running') throw new Error(`it is ${state}`);
      });
    }
  });
}

describe('a service that writes a volume', { timeout: 120_000 }, () => {
  it('has its old replica taken away before its new one is started', async () => {
    const cluster = createFakeCluster();
    await deployTwice(cluster);
    const steps = cluster.steps.filter((step) => /^(start|remove) r/.test(step));
    expect(steps).toEqual(['start r1-0', 'remove r1-0', 'start r2-0']);
    expect([...cluster.containers]).toEqual(['r2-0']);
  });

  it('is brought back the same way when its new replica never becomes healthy', async () => {
    const unhealthy = toApplicationFailure(new DomainError('REPLICA_UNHEALTHY', 'never listened'));
    const cluster = createFakeCluster({
      onStart: async ({ replicaId }) => {
        if (!replicaId.startsWith('r2-')) return;
        cluster.containers.delete(replicaId);
        throw unhealthy;
      },
    });
    await deployTwice(cluster);
    expect([...cluster.containers]).toEqual(['r1-1']);
    expect([...cluster.operations.values()].map(({ state }) => state)).toEqual(['succeeded', 'failed']);
  });
});

describe('a snapshot', { timeout: 120_000 }, () => {
  const aCall = () => ({ snapshotId: randomUUID(), volumeId: randomUUID(), nodeId: NODE });
  const content = { sizeBytes: 3, sha256: 'c'.repeat(64), projectId: randomUUID() };

  it('is taken once for however many calls, and tried again when its node fails', async () => {
    const { node, records, recorded } = createFakeVolumes();
    let attempts = 0;
    const takeSnapshot: typeof node.takeSnapshot = async (input) => {
      attempts += 1;
      if (attempts === 1) throw new Error('killed');
      return await node.takeSnapshot(input);
    };
    const cluster = createFakeCluster();
    const call = aCall();
    await rig.withCluster(
      { ...cluster, node: { ...cluster.node, ...node, takeSnapshot } as typeof cluster.node },
      async () => {
        await Promise.all([1, 2, 3].map(() => rig.gateway.takeSnapshot(call)));
        await rig.client.workflow.getHandle(snapshotWorkflowId(call.snapshotId)).result();
        await rig.gateway.takeSnapshot(call);
      },
      records,
    );
    expect(recorded).toEqual(['whole, 3 bytes']);
    expect(attempts).toBe(2);
  });

  it('that is damaged is recorded as that, and not tried again', async () => {
    const { node, records, recorded } = createFakeVolumes();
    const cluster = createFakeCluster();
    const damaged = toApplicationFailure(new DomainError('SNAPSHOT_DAMAGED', 'its file is not what was written'));
    const restoreSnapshot = async () => {
      throw damaged;
    };
    const call = aCall();
    await rig.withCluster(
      { ...cluster, node: { ...cluster.node, ...node, restoreSnapshot } as typeof cluster.node },
      async () => {
        await rig.gateway.restoreSnapshot({ ...call, ...content });
        await rig.client.workflow.getHandle(restoreWorkflowId(call.volumeId)).result();
      },
      records,
    );
    expect(recorded).toEqual(['not made: SNAPSHOT_DAMAGED']);
  });
});

describe('a snapshot for which its writer is stopped', { timeout: 120_000 }, () => {
  type Written = ReturnType<typeof createWrittenVolume>;

  /** Takes one of a volume that a deployment writes, after `before`; tells the steps of the snapshot. */
  async function take(change: {
    readonly before?: (submit: (kind: 'stop' | 'start') => Promise<void>) => Promise<void>;
    readonly takeSnapshot?: (submit: (kind: 'stop' | 'start') => Promise<void>) => Promise<void>;
  }) {
    const cluster = createFakeCluster();
    const place = aPlace();
    const written: Written = createWrittenVolume(cluster, place.deploymentId);
    const ended = (operationId: string) =>
      eventually(() => {
        const { state } = cluster.operations.get(operationId) ?? {};
        if (state === undefined || state === 'queued' || state === 'running') throw new Error(`it is ${state}`);
      });
    const submit = async (kind: 'stop' | 'start'): Promise<void> => {
      const request = aRequest({ kind });
      await rig.gateway.submit({ ...place, request });
      await ended(request.operationId);
    };
    const takeSnapshot: typeof written.node.takeSnapshot = async (input) => {
      const content = await written.node.takeSnapshot(input);
      await change.takeSnapshot?.(submit);
      return content;
    };
    const call = { snapshotId: randomUUID(), volumeId: randomUUID(), nodeId: NODE };
    await rig.withCluster(
      { ...cluster, node: { ...cluster.node, ...written.node, takeSnapshot } as typeof cluster.node },
      async () => {
        const request = aDeployRequest({ spec: aWriter('one') });
        await rig.gateway.submit({ ...place, request });
        await ended(request.operationId);
        await change.before?.(submit);
        cluster.steps.length = 0;
        await rig.gateway.takeSnapshot({ ...call, stopFor: { actorUserId: randomUUID() } });
        await rig.client.workflow.getHandle(snapshotWorkflowId(call.snapshotId)).result();
        await Promise.all([...cluster.operations.keys()].map(ended));
      },
      written.records,
    );
    const steps = cluster.steps.filter((step) => /^(start|remove|snapshot)/.test(step));
    const kinds = [...cluster.operations.values()].map(({ kind }) => kind);
    return { steps, kinds, recorded: written.recorded };
  }

  const fails = async (): Promise<never> => {
    throw toApplicationFailure(new DomainError('INSUFFICIENT_CAPACITY', 'the disk is full'));
  };

  it('is taken once nothing writes any more, and the writer is started again', async () => {
    const { steps, kinds, recorded } = await take({});
    expect(steps).toEqual(['remove r1-0', 'snapshot', 'start r1-1']);
    expect([kinds, recorded]).toEqual([['deploy', 'stop', 'start'], ['whole, 3 bytes']]);
  });

  it('that fails has its writer started again all the same', async () => {
    const { steps, recorded } = await take({ takeSnapshot: fails });
    expect(steps).toEqual(['remove r1-0', 'snapshot', 'start r1-1']);
    expect(recorded).toEqual(['not whole: INSUFFICIENT_CAPACITY']);
  });

  it('leaves stopped what was stopped before', async () => {
    const { steps, kinds, recorded } = await take({ before: (submit) => submit('stop') });
    expect([steps, kinds, recorded]).toEqual([['snapshot'], ['deploy', 'stop'], ['whole, 3 bytes']]);
  });

  it('is not whole when somebody starts the writer meanwhile, and what they said counts', async () => {
    const { kinds, recorded } = await take({ takeSnapshot: (submit) => submit('start') });
    expect([kinds, recorded]).toEqual([['deploy', 'stop', 'start'], ['not whole: STILL_USED']]);
  });

  it('leaves it stopped when somebody has stopped it meanwhile', async () => {
    const { kinds, recorded } = await take({ takeSnapshot: (submit) => submit('stop') });
    expect([kinds, recorded]).toEqual([['deploy', 'stop', 'stop'], ['whole, 3 bytes']]);
  });
});
