import { beforeEach, describe, expect, it } from 'vitest';
import type { StoreActivities } from '../../contracts/activities.ts';
import { ANYWHERE } from '../../domain/placement/policy.ts';
import type { SingleSpec } from '../../domain/spec.ts';
import { aRequest, aSpec } from '../../test/support/builders.ts';
import { aCreation, aReadyNode, aStarted, aTenant, rollOut, withoutNodes } from '../../test/support/control-data.ts';
import { useTestDatabase } from '../../test/support/database.ts';
import { createDeploymentStore } from './deployment-store.ts';
import { findDeployment } from './deployments.ts';
import { listEvents } from './events.ts';
import { setCordoned } from './nodes.ts';
import { readIngressSnapshot } from './routes.ts';
import { findVolume } from './volumes.ts';

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

describe('a lost node with volumes of what may begin elsewhere', () => {
  const volumes = [{ volume: 'data', path: '/data', readOnly: false }];
  const placement = { ...ANYWHERE, lostVolumes: 'begin-empty' } as const;

  /** A deployment that writes a volume on a node that is lost by now. */
  async function aBound(changes: Partial<SingleSpec> = {}) {
    const tenant = await aTenant(database.db);
    const creation = aCreation(tenant, { spec: aSpec({ volumes, placement, ...changes }) });
    const { deploymentId } = creation;
    const plan = await rollOut(store, deploymentId, await store.storeOperation(creation));
    const nodeId = plan.reserved[0]?.nodeId ?? '';
    const heal = async () => {
      const { operationId } = await store.storeOperation({ ...creation, request: aRequest({ kind: 'heal' }) });
      return { deploymentId, operationId };
    };
    const find = async (name: string) => await findVolume(database.db, { projectId: tenant.projectId, name });
    return { tenant, creation, deploymentId, nodeId, heal, find, written: (await find('data'))?.id };
  }

  it('keeps what was written under another name, and an empty one of the name begins elsewhere', async () => {
    const { deploymentId, nodeId, heal, find, written } = await aBound();
    await record(nodeId, 'lost');
    expect(await store.listHealable({ nodeId })).toEqual([deploymentId]);
    const ref = await heal();
    const plan = await store.beginRollout(ref);
    expect(await store.beginRollout(ref)).toEqual(plan);
    expect(plan.existing).toMatchObject([{ replicaId: 'r1-0', nodeLost: true, givenUp: true }]);
    const begun = await find('data');
    expect(begun?.id).not.toBe(written);
    expect(plan.services[0]?.template.volumes).toMatchObject([{ volumeId: begun?.id }]);
    expect(await find('data-left-1')).toMatchObject({ id: written, nodeId, writerDeployment: null, mountedBy: [] });

    await store.switchRoutes({ ...ref, serve: [], resume: [], drain: ['r1-0'], weight: null });
    await store.forgetReplicas({ ...ref, removed: [], unreachable: ['r1-0'] });
    const [placed] = await store.reserveReplicas({
      ...{ ...ref, batch: 1, starts: [{ service: 'app', revision: 1, count: 1 }] },
    });
    expect(placed?.nodeId).not.toBe(nodeId);
    const started = aStarted(placed?.replicaId ?? '', 32_771);
    await store.switchRoutes({ ...ref, serve: [started], resume: [], drain: [], weight: null });
    await store.finishOperation(ref);
    expect(await find('data')).toMatchObject({ id: begun?.id, nodeId: placed?.nodeId, writerService: 'app' });
    const left = 'volume data begins empty; what it held stays on';
    const events = await listEvents(database.db, { deploymentId, afterSequence: 0, limit: 100 });
    expect(events.filter(({ kind }) => kind === 'volume.left').map(({ message }) => message)).toEqual([
      `${left} ${nodeId}, which is lost, as data-left-1`,
    ]);
    await record(nodeId, 'ready');
    const doomed = await store.listDoomed({ nodeId });
    expect(doomed).toMatchObject({ replicas: [{ deploymentId, index: 0 }], volumes: [] });
  });

  it('is called what it was when the operation goes back, and what began empty is to go', async () => {
    const { nodeId, heal, find, written } = await aBound();
    await record(nodeId, 'lost');
    const ref = await heal();
    await store.beginRollout(ref);
    const begun = await find('data');
    await store.switchRoutes({ ...ref, serve: [], resume: [], drain: ['r1-0'], weight: null });
    await store.forgetReplicas({ ...ref, removed: [], unreachable: ['r1-0'] });
    const [placed] = await store.reserveReplicas({
      ...{ ...ref, batch: 1, starts: [{ service: 'app', revision: 1, count: 1 }] },
    });
    for (let time = 1; time <= 2; time += 1) await store.planReturn({ ...ref, unused: [placed?.replicaId ?? ''] });
    expect(await find('data')).toMatchObject({ id: written, nodeId, writerService: 'app' });
    const failure = { code: 'REPLICA_UNHEALTHY', message: 'not healthy', hint: '' };
    await store.failOperation({ ...ref, failure });
    expect(await find('data-left-1')).toBeUndefined();
    const { volumes: doomed } = await store.listDoomed({ nodeId: placed?.nodeId ?? '' });
    expect(doomed).toEqual([{ volumeId: begun?.id }]);
  });

  it('waits for the node all the same where its policy does not say so, and where others mount the volume', async () => {
    const patient = await aBound({ placement: { ...ANYWHERE, lostVolumes: 'wait' } });
    await record(patient.nodeId, 'lost');
    expect(await store.listHealable({ nodeId: patient.nodeId })).toEqual([]);
    const begun = await store.beginRollout(await patient.heal());
    expect(begun.existing).toMatchObject([{ replicaId: 'r1-0', nodeLost: true }]);
    expect(begun.existing[0]?.givenUp).toBeUndefined();
    await record(patient.nodeId, 'ready');

    const shared = await aBound();
    const reading = [{ volume: 'data', path: '/data', readOnly: true }];
    const reader = aCreation(shared.tenant, { createAs: 'reader', spec: aSpec({ volumes: reading }) });
    await store.storeOperation(reader);
    await record(shared.nodeId, 'lost');
    expect(await store.listHealable({ nodeId: shared.nodeId })).toEqual([]);
    await store.beginRollout(await shared.heal());
    expect(await shared.find('data')).toMatchObject({ id: shared.written });
  });
});
