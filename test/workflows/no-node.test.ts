import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deploymentWorkflowId } from '../../contracts/deployment.ts';
import { DomainError } from '../../domain/errors.ts';
import { aDeployRequest, aSpec } from '../support/builders.ts';
import { eventually } from '../support/eventually.ts';
import { createFakeCluster } from '../support/fake-cluster.ts';
import { aPlace, startWorkflowRig } from '../support/workflow-rig.ts';

let rig: Awaited<ReturnType<typeof startWorkflowRig>>;
beforeAll(async () => {
  rig = await startWorkflowRig();
}, 60_000);
afterAll(async () => await rig.stop());

/** A deploy whose rollout is refused a place so often. */
async function deployWith(
  refusals: { times: number; mayPass: boolean },
  use: (
    on: { operationId: string; cluster: ReturnType<typeof createFakeCluster>; asked: () => number } & ReturnType<
      typeof aPlace
    >,
  ) => Promise<void>,
): Promise<void> {
  let asked = 0;
  const refuseBegin = (): DomainError | undefined => {
    asked += 1;
    const { times, mayPass } = refusals;
    return asked <= times ? new DomainError('NO_NODE_READY', 'none of 1 node is ready', { mayPass }) : undefined;
  };
  const cluster = createFakeCluster({ refuseBegin });
  const place = aPlace();
  await rig.withCluster(cluster, async () => {
    const request = aDeployRequest({ spec: aSpec({ replicas: 1 }) });
    const { operationId } = await rig.gateway.submit({ ...place, request });
    await use({ operationId, cluster, asked: () => asked, ...place });
    await rig.client.workflow.getHandle(deploymentWorkflowId(place.deploymentId)).terminate();
  });
}

describe('a rollout that finds no node', { timeout: 60_000 }, () => {
  it('waits for one, and is carried out then', async () => {
    await deployWith({ times: 4, mayPass: true }, async ({ operationId, cluster, asked }) => {
      await eventually(() => expect(cluster.operations.get(operationId)?.state).toBe('succeeded'));
      expect(asked()).toBe(5);
    });
  });

  it('fails at once when waiting would not help', async () => {
    await deployWith({ times: 4, mayPass: false }, async ({ operationId, cluster, asked }) => {
      await eventually(() => expect(cluster.operations.get(operationId)?.state).toBe('failed'));
      expect(asked()).toBe(1);
    });
  });

  it('is cancelled while it waits', async () => {
    await deployWith({ times: 1_000, mayPass: true }, async ({ operationId, cluster, asked, ...place }) => {
      await eventually(() => expect(asked()).toBeGreaterThan(2));
      const words = { control: 'cancel', idempotencyKey: randomUUID(), requestHash: 'a'.repeat(64) } as const;
      await rig.gateway.control({ ...place, request: { ...words, operationId, actorUserId: randomUUID() } });
      await eventually(() => expect(cluster.operations.get(operationId)?.state).toBe('cancelled'));
    });
  });

  it('fails with the reason after it has waited for long enough', async () => {
    await deployWith({ times: 1_000, mayPass: true }, async ({ operationId, cluster, asked }) => {
      await eventually(() => expect(cluster.operations.get(operationId)?.state).toBe('failed'), { patienceMs: 30_000 });
      const failure = { code: 'NO_NODE_READY', message: 'none of 1 node is ready' };
      expect(cluster.operations.get(operationId)).toMatchObject({ failure });
      expect(asked()).toBeGreaterThan(2);
    });
  });
});
