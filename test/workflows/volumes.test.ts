import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toApplicationFailure } from '../../activities/failures.ts';
import { restoreWorkflowId, snapshotWorkflowId } from '../../contracts/volumes.ts';
import { DomainError } from '../../domain/errors.ts';
import { aDeployRequest, aSpec } from '../support/builders.ts';
import { eventually } from '../support/eventually.ts';
import { createFakeCluster, NODE } from '../support/fake-cluster.ts';
import { createFakeVolumes } from '../support/fake-volumes.ts';
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
