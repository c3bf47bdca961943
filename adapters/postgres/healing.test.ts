import { beforeEach, describe, expect, it } from 'vitest';
import type { StoreActivities } from '../../contracts/activities.ts';
import { aRequest, aSpec } from '../../test/support/builders.ts';
import { aCreation, aReadyNode, aStarted, aTenant, rollOut, withoutNodes } from '../../test/support/control-data.ts';
import { useTestDatabase } from '../../test/support/database.ts';
import { createDeploymentStore } from './deployment-store.ts';
import { findDeployment } from './deployments.ts';
import { setCordoned } from './nodes.ts';
import { readIngressSnapshot } from './routes.ts';

const database = useTestDatabase();

let store: StoreActivities;
beforeEach(async () => {
  await withoutNodes(database.db);
  const placement = { strategy: 'spread', maxDeploymentsPerNode: 50 } as const;
  store = createDeploymentStore(database.db, { domain: 'example.test', placement });
  for (const nodeId of ['host-000a', 'host-000b', 'host-000c']) await aReadyNode(database.db, { nodeId });
});

/** A deployment with a replica on each of the first two nodes. */
async function aRunning(replicas = 2) {
  const creation = aCreation(await aTenant(database.db), { spec: aSpec({ replicas }) });
  const { deploymentId } = creation;
  await rollOut(store, deploymentId, await store.storeOperation(creation));
  const heal = async () => await store.storeOperation({ ...creation, request: aRequest({ kind: 'heal' }) });
  const nodes = async () =>
    (await findDeployment(database.db, deploymentId))?.replicas.map(
      ({ replicaId, nodeId }) => `${replicaId} ${nodeId}`,
    );
  return { creation, deploymentId, heal, nodes };
}

const record = (nodeId: string, state: 'ready' | 'lost') => store.recordNodeState({ nodeId, state, reason: '' });

async function upstreams(): Promise<number[]> {
  const { routes } = await readIngressSnapshot(database.db);
  return routes.flatMap((route) => route.upstreams.map(({ port }) => port));
}

describe('a lost node', () => {
  it('gets no requests while others serve, and is back with its routes at once', async () => {
    await aRunning();
    const { generation } = await readIngressSnapshot(database.db);
    expect(await upstreams()).toEqual([32_768, 32_769]);
    await record('host-000a', 'lost');
    expect(await upstreams()).toEqual([32_769]);
    expect((await readIngressSnapshot(database.db)).generation).toBe(generation + 1);
    await record('host-000b', 'lost');
    expect(await upstreams()).toEqual([32_768, 32_769]);
    await record('host-000b', 'ready');
    await record('host-000a', 'ready');
    expect(await upstreams()).toEqual([32_768, 32_769]);
  });

  it('has what was there replaced elsewhere, and loses it when it comes back', async () => {
    const { deploymentId, heal, nodes } = await aRunning();
    await record('host-000a', 'lost');
    expect(await store.listHealable({ nodeId: 'host-000a' })).toEqual([deploymentId]);
    const { operationId } = await heal();
    expect(await store.listHealable({ nodeId: 'host-000a' })).toEqual([]);
    const ref = { deploymentId, operationId };
    const plan = await store.beginRollout(ref);
    expect(plan.reserved).toMatchObject([{ replicaId: 'r1-2', nodeId: 'host-000c' }]);
    expect(plan.existing).toMatchObject([
      { replicaId: 'r1-0', nodeLost: true, givenUp: true },
      { replicaId: 'r1-1', nodeLost: false },
    ]);
    await store.switchRoutes({ ...ref, serve: [aStarted('r1-2', 32_770)], resume: [], drain: ['r1-0'], weight: null });
    await store.forgetReplicas({ ...ref, removed: [], unreachable: ['r1-0'] });
    await store.finishOperation(ref);
    expect(await nodes()).toEqual(['r1-1 host-000b', 'r1-2 host-000c']);
    await record('host-000a', 'ready');
    expect(await upstreams()).toEqual([32_769, 32_770]);
    expect((await store.listDoomed({ nodeId: 'host-000a' })).replicas).toMatchObject([{ deploymentId, index: 0 }]);
  });

  it('has to be waited for while there is no other', async () => {
    await aRunning();
    for (const nodeId of ['host-000a', 'host-000b']) await record(nodeId, 'lost');
    await setCordoned(database.db, 'host-000c', true);
    expect(await store.listHealable({ nodeId: 'host-000a' })).toEqual([]);
    await setCordoned(database.db, 'host-000c', false);
    expect(await store.listHealable({ nodeId: 'host-000a' })).toHaveLength(1);
  });

  it('has those asked first who were not asked yet', async () => {
    const [one, other] = [await aRunning(1), await aRunning(1)];
    await database.db.updateTable('replicas').set({ node_id: 'host-000a' }).execute();
    await record('host-000a', 'lost');
    const listed = await store.listHealable({ nodeId: 'host-000a' });
    expect(listed.toSorted()).toEqual([one.deploymentId, other.deploymentId].toSorted());
    const first = listed[0] === one.deploymentId ? one : other;
    const { operationId } = await first.heal();
    const failure = { code: 'INSUFFICIENT_CAPACITY', message: 'no room', hint: '' };
    await store.failOperation({ deploymentId: first.deploymentId, operationId, failure });
    expect(await store.listHealable({ nodeId: 'host-000a' })).toEqual(listed.toReversed());
  });

  it('that is back before its turn keeps everything', async () => {
    const { deploymentId, heal, nodes } = await aRunning();
    const { operationId } = await heal();
    const plan = await store.beginRollout({ deploymentId, operationId });
    expect(plan.reserved).toEqual([]);
    expect(plan.existing.map(({ givenUp }) => givenUp)).toEqual([undefined, undefined]);
    await store.finishOperation({ deploymentId, operationId });
    expect(await nodes()).toEqual(['r1-0 host-000a', 'r1-1 host-000b']);
  });

  it('is where it was for an operation that goes back', async () => {
    const { deploymentId, heal } = await aRunning();
    await record('host-000a', 'lost');
    const { operationId } = await heal();
    const { reserved } = await store.beginRollout({ deploymentId, operationId });
    const unused = reserved.map(({ replicaId }) => replicaId);
    const back = await store.planReturn({ deploymentId, operationId, unused });
    expect(back.existing.map(({ replicaId, givenUp }) => [replicaId, givenUp])).toEqual([
      ['r1-0', undefined],
      ['r1-1', undefined],
    ]);
  });

  it('keeps what has a volume, what is stopped and what is being deleted', async () => {
    const { creation } = await aRunning(1);
    const { deploymentId } = creation;
    await record('host-000a', 'lost');
    const healable = () => store.listHealable({ nodeId: 'host-000a' });
    expect(await healable()).toHaveLength(1);
    await database.db.updateTable('deployments').set({ stopped: true }).where('id', '=', deploymentId).execute();
    expect(await healable()).toEqual([]);
    await database.db
      .updateTable('deployments')
      .set({ stopped: false, deleting: true })
      .where('id', '=', deploymentId)
      .execute();
    expect(await healable()).toEqual([]);
    await record('host-000a', 'ready');
    await database.db.deleteFrom('deployments').execute();
    const volumes = [{ volume: 'data', path: '/data', readOnly: false }];
    const bound = aCreation(await aTenant(database.db), { spec: aSpec({ volumes }) });
    const plan = await rollOut(store, bound.deploymentId, await store.storeOperation(bound));
    const nodeId = plan.reserved[0]?.nodeId ?? '';
    await record(nodeId, 'lost');
    expect(await store.listHealable({ nodeId })).toEqual([]);
  });
});
