import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import type { StoreActivities } from '../../contracts/activities.ts';
import type { Move } from '../../domain/move.ts';
import { aRequest, aSpec } from '../../test/support/builders.ts';
import { aCreation, aReadyNode, aStarted, aTenant, rollOut, withoutNodes } from '../../test/support/control-data.ts';
import { useTestDatabase } from '../../test/support/database.ts';
import { createDeploymentStore } from './deployment-store.ts';
import { findDeployment } from './deployments.ts';
import { createDrainRecords, findDrain, listOnNode } from './drains.ts';
import { findNode, setCordoned } from './nodes.ts';
import { findOperation } from './operations.ts';

const database = useTestDatabase();

let store: StoreActivities;
beforeEach(async () => {
  await withoutNodes(database.db);
  const placement = { strategy: 'spread', maxDeploymentsPerNode: 50 } as const;
  store = createDeploymentStore(database.db, { domain: 'example.test', placement });
  for (const nodeId of ['host-000a', 'host-000b', 'host-000c']) await aReadyNode(database.db, { nodeId });
});

/** A deployment with a replica on each of the first nodes. */
async function aRunning(replicas = 2, spec = aSpec({ replicas })) {
  const creation = aCreation(await aTenant(database.db), { spec });
  const { deploymentId } = creation;
  await rollOut(store, deploymentId, await store.storeOperation(creation));
  const move = async (wanted: Move) =>
    await store.storeOperation({ ...creation, request: aRequest({ kind: 'move', move: wanted }) });
  const nodes = async () =>
    (await findDeployment(database.db, deploymentId))?.replicas.map(
      ({ replicaId, nodeId }) => `${replicaId} ${nodeId}`,
    );
  return { creation, deploymentId, move, nodes };
}

describe('a move', () => {
  it('starts others before it gives up what is on the node that is left', async () => {
    const { deploymentId, move, nodes } = await aRunning();
    const { operationId } = await move({ from: 'host-000a', to: null, replicas: null });
    const ref = { deploymentId, operationId };
    const plan = await store.beginRollout(ref);
    expect(plan.reserved).toMatchObject([{ replicaId: 'r1-2', nodeId: 'host-000c' }]);
    expect(plan.existing).toMatchObject([{ replicaId: 'r1-0', givenUp: true }, { replicaId: 'r1-1' }]);
    expect(plan.existing[1]).not.toHaveProperty('givenUp');
    expect(await store.beginRollout(ref)).toEqual(plan);
    await store.switchRoutes({ ...ref, serve: [aStarted('r1-2', 32_770)], resume: [], drain: ['r1-0'], weight: null });
    await store.forgetReplicas({ ...ref, removed: ['r1-0'], unreachable: [] });
    await store.finishOperation(ref);
    expect(await nodes()).toEqual(['r1-1 host-000b', 'r1-2 host-000c']);
    expect(await findOperation(database.db, operationId)).toMatchObject({ moveFrom: 'host-000a', moveTo: null });
  });

  it('goes to the node that is named, and leaves alone what is there', async () => {
    const { deploymentId, move } = await aRunning();
    const { operationId } = await move({ from: null, to: 'host-000b', replicas: null });
    const plan = await store.beginRollout({ deploymentId, operationId });
    expect(plan.reserved).toMatchObject([{ nodeId: 'host-000b' }]);
    expect(plan.existing.filter(({ givenUp }) => givenUp).map(({ replicaId }) => replicaId)).toEqual(['r1-0']);
  });

  it('has nothing to do where all is as it is wanted', async () => {
    const { deploymentId, move } = await aRunning(1);
    const { operationId } = await move({ from: null, to: 'host-000a', replicas: null });
    const plan = await store.beginRollout({ deploymentId, operationId });
    expect([plan.reserved, plan.existing.filter(({ givenUp }) => givenUp)]).toEqual([[], []]);
  });

  it('is refused by the name of the node when no such node is known', async () => {
    const { move } = await aRunning();
    await expect(move({ from: null, to: 'host-nowhere', replicas: null })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      field: 'to_node_id',
      message: expect.stringContaining('found "host-nowhere"'),
    });
  });

  it('says why the node that is named takes nothing', async () => {
    const { move } = await aRunning(1);
    await setCordoned(database.db, 'host-000c', true);
    await expect(move({ from: null, to: 'host-000c', replicas: null })).rejects.toMatchObject({
      code: 'NO_NODE_READY',
      message: 'cannot move to host-000c: it is cordoned',
    });
  });

  it('is refused for what is where its volumes are', async () => {
    const volumes = [{ volume: 'data', path: '/data', readOnly: false }];
    const { deploymentId, move } = await aRunning(1, aSpec({ replicas: 1, volumes }));
    const { operationId } = await move({ from: 'host-000a', to: null, replicas: null });
    await expect(store.beginRollout({ deploymentId, operationId })).rejects.toMatchObject({
      code: 'NO_NODE_READY',
      message: expect.stringContaining('it is where its volumes are'),
    });
  });

  it('takes what moves back when it is undone', async () => {
    const { deploymentId, move, nodes } = await aRunning(1);
    const { operationId } = await move({ from: 'host-000a', to: null, replicas: null });
    const ref = { deploymentId, operationId };
    const { reserved } = await store.beginRollout(ref);
    const back = await store.planReturn({ ...ref, unused: reserved.map(({ replicaId }) => replicaId) });
    expect(back.existing.some(({ givenUp }) => givenUp)).toBe(false);
    expect(await nodes()).toEqual(['r1-0 host-000a']);
  });

  it('bars nothing on the way back, when what was there is gone already', async () => {
    const recreated = aSpec({ replicas: 1, rollout: { strategy: 'recreate', approval: false } });
    const { deploymentId, move } = await aRunning(1, recreated);
    await setCordoned(database.db, 'host-000c', true);
    const { operationId } = await move({ from: null, to: 'host-000b', replicas: null });
    const ref = { deploymentId, operationId };
    await store.beginRollout(ref);
    await store.forgetReplicas({ ...ref, removed: ['r1-0'], unreachable: [] });
    await setCordoned(database.db, 'host-000b', true);
    await store.planReturn({ ...ref, unused: [] });
    const starts = [{ service: 'app', revision: 1, count: 1 }];
    await expect(store.reserveReplicas({ ...ref, batch: 1, starts })).rejects.toMatchObject({ code: 'NO_NODE_READY' });
    const back = await store.reserveReplicas({ ...ref, batch: 1, starts, back: true });
    expect(back).toMatchObject([{ nodeId: 'host-000a' }]);
  });
});

describe('a replica that is placed anew', () => {
  it('avoids the node whose daemon is in trouble, before anybody has recorded that', async () => {
    const creation = aCreation(await aTenant(database.db), { spec: aSpec({ replicas: 1 }) });
    const { deploymentId } = creation;
    const { operationId } = await store.storeOperation(creation);
    const ref = { deploymentId, operationId };
    const { reserved } = await store.beginRollout(ref);
    expect(reserved).toMatchObject([{ nodeId: 'host-000a' }]);
    await setCordoned(database.db, 'host-000b', true);
    const starts = [{ service: 'app', revision: 1, count: 1 }];
    const anew = { ...ref, batch: 1, starts, avoid: ['host-000a'] };
    expect(await store.reserveReplicas(anew)).toMatchObject([{ replicaId: 'r1-1', nodeId: 'host-000c' }]);
    await setCordoned(database.db, 'host-000c', true);
    await expect(store.reserveReplicas({ ...anew, batch: 2 })).rejects.toMatchObject({ code: 'NO_NODE_READY' });
  });
});

describe('the emptying of a node', () => {
  const drain = { nodeId: 'host-000a', drainId: randomUUID(), actorUserId: randomUUID(), reason: 'new disk' };

  it('takes it out of placement, counts what leaves, and ends once', async () => {
    const drains = createDrainRecords(database.db);
    expect(await drains.beginDrain(drain)).toEqual({ open: true });
    expect(await drains.beginDrain(drain)).toEqual({ open: true });
    expect(await findNode(database.db, drain.nodeId)).toMatchObject({ cordoned: true, draining: true });
    const { deploymentId, move } = await aRunning(1);
    const { operationId } = await move({ from: 'host-000a', to: null, replicas: null });
    await store.beginRollout({ deploymentId, operationId });
    await store.finishOperation({ deploymentId, operationId });
    await drains.touchDrain(drain);
    await drains.endDrain({ ...drain, state: 'done' });
    await drains.endDrain({ ...drain, state: 'stopped' });
    expect(await findDrain(database.db, drain.nodeId)).toMatchObject({ state: 'done', moved: 1, reason: 'new disk' });
    expect(await drains.beginDrain(drain)).toEqual({ open: false });
    expect(await findNode(database.db, drain.nodeId)).toMatchObject({ cordoned: true, draining: false });
    expect(await drains.beginDrain({ ...drain, drainId: randomUUID() })).toEqual({ open: true });
    expect(await findDrain(database.db, drain.nodeId)).toMatchObject({ state: 'running', moved: 0 });
  });

  it('is refused for a node that nobody knows', async () => {
    const drains = createDrainRecords(database.db);
    await expect(drains.beginDrain({ ...drain, nodeId: 'host-nowhere' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('finds what can leave, also while its first rollout is under way, and says of the rest why it stays', async () => {
    const drains = createDrainRecords(database.db);
    const { deploymentId } = await aRunning(1);
    const volumes = [{ volume: 'data', path: '/data', readOnly: false }];
    await setCordoned(database.db, 'host-000b', true);
    await setCordoned(database.db, 'host-000c', true);
    const bound = await aRunning(1, aSpec({ replicas: 1, volumes }));
    const fresh = aCreation(await aTenant(database.db), { spec: aSpec({ replicas: 1 }) });
    const { operationId } = await store.storeOperation(fresh);
    await store.beginRollout({ deploymentId: fresh.deploymentId, operationId });
    expect(await drains.listMovable({ nodeId: 'host-000a' })).toEqual([]);
    await setCordoned(database.db, 'host-000b', false);
    expect([...(await drains.listMovable({ nodeId: 'host-000a' }))].sort()).toEqual(
      [deploymentId, fresh.deploymentId].sort(),
    );
    const left = await listOnNode(database.db, { nodeId: 'host-000a', limit: 10 });
    expect(left).toHaveLength(3);
    expect(left.filter(({ isBound }) => isBound)).toMatchObject([{ deploymentId: bound.deploymentId, replicas: 1 }]);
  });
});
