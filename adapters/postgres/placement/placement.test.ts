import { beforeEach, describe, expect, it } from 'vitest';
import type { DiskNotice } from '../../../contracts/node.ts';
import type { PlacementRules } from '../../../domain/placement/placement.ts';
import { ANYWHERE, type PlacementPolicy, parseConstraint } from '../../../domain/placement/policy.ts';
import { aDeployRequest, aRequest, aSpec } from '../../../test/support/builders.ts';
import { aCreation, aReadyNode, aTenant, rollOut, withoutNodes } from '../../../test/support/control-data.ts';
import { useTestDatabase } from '../../../test/support/database.ts';
import { RULES } from '../../../test/support/placements.ts';
import { createDeploymentStore } from '../deployment-store.ts';
import { listEvents } from '../events.ts';
import { findNode, setCordoned } from '../nodes.ts';

const database = useTestDatabase();

beforeEach(async () => {
  await withoutNodes(database.db);
  await database.db.deleteFrom('placement_rotation').execute();
  for (const nodeId of ['host-000a', 'host-000b', 'host-000c']) await aReadyNode(database.db, { nodeId });
});

/** Begins a deployment by an orchestrator of its own. @returns the nodes of its replicas, and what is told of it. */
async function place(rules: Partial<PlacementRules> = {}, replicas = 1) {
  const placement = { strategy: 'round-robin', maxDeploymentsPerNode: 50, ...rules } as const;
  const store = createDeploymentStore(database.db, { domain: 'example.test', placement });
  const creation = aCreation(await aTenant(database.db), { spec: aSpec({ replicas }) });
  const { deploymentId } = creation;
  const { operationId } = await store.storeOperation(creation);
  const { reserved } = await store.beginRollout({ deploymentId, operationId });
  const events = await listEvents(database.db, { deploymentId, afterSequence: 0, limit: 100 });
  return {
    nodes: reserved.map(({ nodeId }) => nodeId),
    told: events.find(({ kind }) => kind === 'replica.placed')?.message,
  };
}

describe('placement', () => {
  it('goes on with its rotation in another process', async () => {
    expect((await place({}, 2)).nodes).toEqual(['host-000a', 'host-000b']);
    expect((await place()).nodes).toEqual(['host-000c']);
    expect((await place()).nodes).toEqual(['host-000a']);
  });

  it('tells why it is there, and why not elsewhere', async () => {
    await setCordoned(database.db, 'host-000a', true);
    await database.db.updateTable('nodes').set({ state: 'lost' }).where('id', '=', 'host-000b').execute();
    expect((await place({ strategy: 'least-loaded' })).told).toMatch(
      /^1 replica placed on host-000c \(least-loaded: host-000c \d+ % full with it; not host-000a \(cordoned\), host-000b \(lost\)\)$/,
    );
  });

  it('gives nothing to a node whose disk is nearly full, and says so, until it has room again', async () => {
    const store = createDeploymentStore(database.db, { domain: 'example.test', placement: RULES });
    const tell = (nodeId: string, disk: DiskNotice) =>
      store.recordNodeState({ nodeId, state: 'ready', reason: '', disk });
    const full = { level: 'full', notice: 'its disk is nearly full: 4 % free' } as const;
    await tell('host-000a', full);
    await tell('host-000b', { level: 'low', notice: 'its disk is filling up: 13 % free' });
    await setCordoned(database.db, 'host-000c', true);
    const { nodes, told } = await place({ strategy: 'least-loaded' });
    expect(nodes).toEqual(['host-000b']);
    expect(told).toMatch(/not host-000a \(its disk is nearly full: 4 % free\), host-000c \(cordoned\)\)$/);
    await tell('host-000b', full);
    await expect(place()).rejects.toThrow(
      /: none of 3 nodes is ready: host-000a \(its disk is nearly full: 4 % free\), host-000b \(its disk/,
    );
    expect((await findNode(database.db, 'host-000b'))?.diskNotice).toBe(full.notice);
    await store.recordNodeState({ nodeId: 'host-000a', state: 'degraded', reason: 'docker does not answer' });
    expect((await findNode(database.db, 'host-000a'))?.diskNotice).toBe(full.notice);
    await tell('host-000a', { level: 'room', notice: '' });
    expect((await place()).nodes).toEqual(['host-000a']);
  });

  it('spreads across the values of a label', async () => {
    const label = (nodeId: string, zone: string) =>
      database.db
        .updateTable('nodes')
        .set({ labels: JSON.stringify({ zone }) })
        .where('id', '=', nodeId)
        .execute();
    await label('host-000a', 'east');
    await label('host-000b', 'east');
    await label('host-000c', 'west');
    const { nodes } = await place({ strategy: 'spread', spreadLabel: 'zone' }, 4);
    expect(nodes.toSorted()).toEqual(['host-000a', 'host-000b', 'host-000c', 'host-000c']);
  });

  it('takes a cordoned node again once it is no more', async () => {
    for (const nodeId of ['host-000a', 'host-000b', 'host-000c']) await setCordoned(database.db, nodeId, true);
    await expect(place()).rejects.toThrow(/none of 3 nodes is ready/);
    await setCordoned(database.db, 'host-000b', false);
    expect((await place()).nodes).toEqual(['host-000b']);
  });
});

describe('what a deployment says about its places', () => {
  const store = () => {
    const placement = { strategy: 'least-loaded', maxDeploymentsPerNode: 50, cpuOvercommit: 4 } as const;
    return createDeploymentStore(database.db, { domain: 'example.test', placement });
  };
  const bound = (policy: Partial<PlacementPolicy>, replicas = 1) =>
    aSpec({ replicas, placement: { ...ANYWHERE, ...policy } });
  const nodesOf = ({ reserved }: { readonly reserved: readonly { readonly nodeId: string }[] }): string[] =>
    reserved.map(({ nodeId }) => nodeId).toSorted();

  it('holds for the first revision, the next one and a scale; what is replaced takes nobody’s place', async () => {
    const creation = aCreation(await aTenant(database.db), { spec: bound({ maxReplicasPerNode: 1 }, 3) });
    const { deploymentId } = creation;
    const all = ['host-000a', 'host-000b', 'host-000c'];
    const first = await store().storeOperation(creation);
    expect(nodesOf(await rollOut(store(), deploymentId, first))).toEqual(all);
    const request = aDeployRequest({ createAs: null, spec: bound({ maxReplicasPerNode: 1 }, 3) });
    const next = await store().storeOperation({ ...creation, request });
    expect(nodesOf(await rollOut(store(), deploymentId, next))).toEqual(all);
    const scale = aRequest({ kind: 'scale', replicas: 4, service: 'app' } as const);
    const more = await store().storeOperation({ ...creation, request: scale });
    await expect(rollOut(store(), deploymentId, more)).rejects.toThrow(
      /host-000a has 1 of it, as many as it may, host-000b has 1 of it/,
    );
  });

  it('binds it to nodes, with a strategy of its own', async () => {
    const constraints = [parseConstraint('', 'node.hostname!=host-000a')];
    const creation = aCreation(await aTenant(database.db), {
      spec: bound({ constraints, strategy: 'round-robin' }, 3),
    });
    const plan = await rollOut(store(), creation.deploymentId, await store().storeOperation(creation));
    expect(nodesOf(plan)).toEqual(['host-000b', 'host-000b', 'host-000c']);
    const events = await listEvents(database.db, { deploymentId: creation.deploymentId, afterSequence: 0, limit: 100 });
    expect(events.find(({ kind }) => kind === 'replica.placed')?.message).toMatch(
      /\(round-robin: .*; not host-000a \(is not node.hostname!=host-000a\)\)$/,
    );
  });

  it('keeps it near another deployment of its project, and of no other', async () => {
    const tenant = await aTenant(database.db);
    const constraints = [parseConstraint('', 'node.id==host-000b')];
    const cache = aCreation(tenant, { createAs: 'cache', spec: bound({ constraints }) });
    await rollOut(store(), cache.deploymentId, await store().storeOperation(cache));
    const near = aCreation(tenant, { spec: bound({ near: 'cache' }, 2) });
    expect(nodesOf(await rollOut(store(), near.deploymentId, await store().storeOperation(near)))).toEqual([
      ...['host-000b', 'host-000b'],
    ]);
    const stranger = aCreation(await aTenant(database.db), { spec: bound({ near: 'cache' }) });
    const accepted = await store().storeOperation(stranger);
    await expect(rollOut(store(), stranger.deploymentId, accepted)).rejects.toThrow(/host-000b has nothing of cache/);
  });
});
