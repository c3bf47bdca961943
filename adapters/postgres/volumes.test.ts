import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import type { StoreActivities } from '../../contracts/activities.ts';
import type { RolloutPlan } from '../../contracts/rollout.ts';
import { type ComposeSpec, PLAIN_CONTAINER, type SingleSpec, type VolumeMount } from '../../domain/spec.ts';
import { aDeployRequest, aRemoveRequest, aRequest, aSpec } from '../../test/support/builders.ts';
import {
  aCreation,
  aReadyNode,
  aTenant,
  NOTHING_LEFT,
  rollOut,
  type Tenant,
  withoutNodes,
} from '../../test/support/control-data.ts';
import { useTestDatabase } from '../../test/support/database.ts';
import { createDeploymentStore } from './deployment-store.ts';
import { listEvents } from './events.ts';
import { deleteProject } from './projects.ts';
import { createVolume, deleteVolume, findVolume, listVolumes } from './volumes.ts';

const database = useTestDatabase();

let store: StoreActivities;
let tenant: Tenant;

beforeEach(async () => {
  await withoutNodes(database.db);
  const placement = { strategy: 'least-loaded', maxDeploymentsPerNode: 50 } as const;
  store = createDeploymentStore(database.db, { domain: 'example.test', placement });
  tenant = await aTenant(database.db);
});

const data: VolumeMount = { volume: 'data', path: '/data', readOnly: false };
const reading: VolumeMount = { ...data, readOnly: true };
const mutation = () => ({ idempotencyKey: `key-${randomUUID()}`, requestHash: 'a'.repeat(64) });
const aName = () => `app-${randomUUID().slice(0, 8)}`;
const find = (name = 'data') => findVolume(database.db, { projectId: tenant.projectId, name });
const remove = (name = 'data') => deleteVolume(database.db, { ...tenant, name, ...mutation() });

/** A deployment of the tenant that mounts these volumes, stored and not carried out. */
async function stored(volumes: VolumeMount[], changes: Partial<SingleSpec> = {}) {
  const creation = aCreation(tenant, { createAs: aName(), spec: aSpec({ volumes, ...changes }) });
  const accepted = await store.storeOperation(creation);
  return { ...creation, ...accepted, name: creation.request.createAs ?? '' };
}

/** The same, and it runs. */
async function running(volumes: VolumeMount[], changes: Partial<SingleSpec> = {}) {
  const deployment = await stored(volumes, changes);
  const plan = await rollOut(store, deployment.deploymentId, deployment);
  return { ...deployment, plan };
}

type Stored = Awaited<ReturnType<typeof stored>>;

const deploy = ({ deploymentId, organizationId, projectId }: Stored, spec: SingleSpec | ComposeSpec) =>
  store.storeOperation({
    ...{ deploymentId, organizationId, projectId },
    request: aDeployRequest({ createAs: null, spec }),
  });

const ask = ({ deploymentId, organizationId, projectId }: Stored, wish: Parameters<typeof aRequest>[0]) =>
  store.storeOperation({ ...{ deploymentId, organizationId, projectId }, request: aRequest(wish) as never });

async function purge(deployment: Stored): Promise<void> {
  const { deploymentId, organizationId, projectId } = deployment;
  const request = aRemoveRequest();
  await store.storeOperation({ deploymentId, organizationId, projectId, request });
  await store.beginRemoval({ deploymentId, operationId: request.operationId });
  await store.purgeDeployment({ deploymentId, operationId: request.operationId, ...NOTHING_LEFT });
}

const nodesOf = (plan: RolloutPlan): string[] => [...new Set(plan.reserved.map(({ nodeId }) => nodeId))];

function aShop(volumes: { web?: VolumeMount[]; db?: VolumeMount[] }, reference = 'example.test/web:1'): ComposeSpec {
  const { rollout, ...parts } = aSpec();
  const service = { ...parts, container: PLAIN_CONTAINER, needs: [] };
  const source = { kind: 'image', reference } as const;
  return {
    services: [
      { ...service, name: 'db', port: null, volumes: volumes.db ?? [] },
      { ...service, name: 'web', source, volumes: volumes.web ?? [] },
    ],
    rollout,
    warnings: [],
  };
}

describe('a volume', () => {
  it('is created once for a key, and its name is taken once in a project', async () => {
    const creation = { ...tenant, name: 'data', ...mutation() };
    const created = await createVolume(database.db, creation);
    expect(created).toMatchObject({
      name: 'data',
      nodeId: null,
      writerDeployment: null,
      removing: false,
      mountedBy: [],
    });
    expect(await createVolume(database.db, creation)).toEqual(created);
    const again = createVolume(database.db, { ...creation, ...mutation() });
    await expect(again).rejects.toMatchObject({ code: 'NAME_TAKEN' });
    const { organizationId, projectId } = tenant;
    expect(await listVolumes(database.db, { organizationId, projectId, limit: 10 })).toEqual([created]);
    const other = await aTenant(database.db);
    const theirs = { organizationId: other.organizationId, projectId, limit: 10 };
    expect(await listVolumes(database.db, theirs)).toEqual([]);
  });

  it('is created with the revision that names it, and belongs to the service that writes it', async () => {
    const { name } = await stored([data, { ...reading, volume: 'shared', path: '/shared' }]);
    expect(await find()).toMatchObject({ writerDeployment: name, writerService: 'app', mountedBy: [name] });
    expect(await find('shared')).toMatchObject({ writerDeployment: null, mountedBy: [name] });
  });

  it('has one writer, however many ask for it at once, and any number of readers', { repeats: 4 }, async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => stored([data])));
    const [winner, ...more] = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(more).toEqual([]);
    const refusals = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason as Error] : []));
    expect(refusals).toHaveLength(7);
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'spec.volumes' });
      expect(refusal.message).toContain(`app of ${winner?.name} writes data`);
    }
    await Promise.all(Array.from({ length: 3 }, () => stored([reading], { replicas: 3 })));
    expect((await find())?.mountedBy).toHaveLength(4);
  });

  it('is let go when a goal without it is reached, and not before', async () => {
    await aReadyNode(database.db);
    const first = await running([data]);
    const without = await deploy(first, aSpec());
    await expect(stored([data])).rejects.toThrow(`app of ${first.name} writes data`);
    await rollOut(store, first.deploymentId, without);
    const second = await stored([data]);
    expect(await find()).toMatchObject({ writerDeployment: second.name });
  });

  it('is kept by a deployment that comes to a goal while it is to write it again', async () => {
    await aReadyNode(database.db);
    const first = await running([data]);
    const without = await deploy(first, aSpec());
    await store.beginRollout({ deploymentId: first.deploymentId, operationId: without.operationId });
    await deploy(first, aSpec({ volumes: [data] }));
    await store.finishOperation({ deploymentId: first.deploymentId, operationId: without.operationId });
    expect(await find()).toMatchObject({ writerDeployment: first.name });
  });
});

describe('a service that writes a volume', () => {
  beforeEach(() => aReadyNode(database.db));

  it('is not scaled, by no way, and takes no strategy that runs old and new at a time', async () => {
    const one = await running([data]);
    const scale = { kind: 'scale', service: 'app', replicas: 2 } as const;
    await expect(ask(one, scale)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: 'replicas' });
    const twice = aSpec({ volumes: [data], replicas: 2 });
    await expect(deploy(one, twice)).rejects.toMatchObject({ field: 'spec.replicas' });
    const rollout = { strategy: 'blue-green', approval: false, keepOldMs: 0 } as const;
    const both = aSpec({ volumes: [data], rollout });
    await expect(deploy(one, both)).rejects.toMatchObject({ field: 'spec.rollout.blue_green' });
  });

  it('cannot become one while more replicas are wanted, and a scale that was asked for before fails', async () => {
    const one = await running([], { replicas: 3 });
    const change = { service: null, replace: { volumes: [data] }, setVariables: [], unsetVariables: [] };
    await expect(ask(one, { kind: 'update', change } as never)).rejects.toMatchObject({ field: 'spec.replicas' });
    const two = await running([reading]);
    await ask(two, { kind: 'scale', service: 'app', replicas: 2 } as never);
    await expect(ask(two, { kind: 'update', change } as never)).rejects.toMatchObject({ field: 'spec.replicas' });
  });

  it('is known to the plan as one of which two never run, also on the way back', async () => {
    const one = await running([data]);
    expect(one.plan.exclusive).toEqual(['app']);
    const volumeId = (await find())?.id;
    expect(one.plan.services[0]?.template.volumes).toEqual([{ volumeId, path: '/data', readOnly: false }]);
    const next = await deploy(one, aSpec({ volumes: [data], source: { kind: 'image', reference: 'other:1' } }));
    const ref = { deploymentId: one.deploymentId, operationId: next.operationId };
    const plan = await store.beginRollout(ref);
    expect(plan).toMatchObject({ exclusive: ['app'], reserved: [] });
    const [old] = plan.existing;
    await store.forgetReplicas({ ...ref, removed: [old?.replicaId ?? ''], unreachable: [] });
    const starts = [{ service: 'app', revision: 2, count: 1 }];
    const [fresh] = await store.reserveReplicas({ ...ref, batch: 1, starts });
    expect(fresh?.nodeId).toBe(one.plan.reserved[0]?.nodeId);
    expect(await store.planReturn({ ...ref, unused: [] })).toMatchObject({
      exclusive: ['app'],
      goal: [{ revision: 1 }],
    });
  });
});

describe('the place of a volume', () => {
  it('is where its first replica is put, and every later one follows', { repeats: 4 }, async () => {
    const nodes = await Promise.all([aReadyNode(database.db), aReadyNode(database.db), aReadyNode(database.db)]);
    const first = await running([data]);
    const [home = ''] = nodesOf(first.plan);
    expect(nodes).toContain(home);
    expect(await find()).toMatchObject({ nodeId: home });
    const reader = await running([reading], { replicas: 5 });
    expect(nodesOf(reader.plan)).toEqual([home]);
    await purge(first);
    expect(await find()).toMatchObject({ nodeId: home, writerDeployment: null });
    const again = await running([data]);
    expect(nodesOf(again.plan)).toEqual([home]);
  });

  it('holds all services of an application, also those that are placed before the one that mounts it', async () => {
    const [home] = [await aReadyNode(database.db), await aReadyNode(database.db)];
    const creation = aCreation(tenant, { createAs: 'shop', spec: aShop({ db: [data] }) });
    const accepted = await store.storeOperation(creation);
    await database.db.updateTable('volumes').set({ node_id: home }).execute();
    const plan = await rollOut(store, creation.deploymentId, accepted);
    expect(nodesOf(plan)).toEqual([home]);
    expect(await find('shop-data')).toMatchObject({ writerService: 'db', writerDeployment: 'shop', nodeId: home });
    const spec = aShop({ db: [{ ...data, path: '/elsewhere' }] }, 'example.test/web:2');
    const next = await deploy({ ...creation, ...accepted, name: 'shop' }, spec);
    const ref = { deploymentId: creation.deploymentId, operationId: next.operationId };
    const { reserved, exclusive } = await store.beginRollout(ref);
    expect(exclusive).toEqual(['db']);
    expect(reserved.map(({ service, nodeId }) => [service, nodeId])).toEqual([['web', home]]);
  });

  it('refuses two of them at a time, and one that is away, and says where they are', async () => {
    const [here, there] = [await aReadyNode(database.db), await aReadyNode(database.db)];
    const both = await stored([data, { ...data, volume: 'more', path: '/more' }]);
    const { db } = database;
    await db.updateTable('volumes').set({ node_id: here }).where('name', '=', 'data').execute();
    await db.updateTable('volumes').set({ node_id: there }).where('name', '=', 'more').execute();
    const ref = { deploymentId: both.deploymentId, operationId: both.operationId };
    const apart = { code: 'NO_NODE_READY', message: expect.stringContaining(`data is on ${here}, more on ${there}`) };
    await expect(store.beginRollout(ref)).rejects.toMatchObject(apart);
    await db.updateTable('volumes').set({ node_id: here }).execute();
    await db.updateTable('nodes').set({ state: 'lost' }).where('id', '=', here).execute();
    const away = { code: 'NO_NODE_READY', message: expect.stringContaining(`data is on ${here}, which is lost`) };
    await expect(store.beginRollout(ref)).rejects.toMatchObject(away);
  });
});

describe('deleting', () => {
  it('a deployment leaves its volumes, and says so', async () => {
    await aReadyNode(database.db);
    const one = await running([data, { ...data, volume: 'more', path: '/more' }]);
    await purge(one);
    expect(await find()).toMatchObject({ writerDeployment: null, mountedBy: [], removing: false });
    const events = await listEvents(database.db, { deploymentId: one.deploymentId, afterSequence: 0, limit: 100 });
    expect(events.at(-1)?.message).toBe(`${one.name} is deleted; its volumes stay: data, more`);
    const deletion = deleteProject(database.db, { ...tenant, ...mutation() });
    await expect(deletion).rejects.toMatchObject({ code: 'PROJECT_NOT_EMPTY' });
  });

  it('a volume is refused while anything mounts it: what runs, what is newest, what is asked for', async () => {
    await aReadyNode(database.db);
    const one = await running([reading]);
    const without = await deploy(one, aSpec());
    await expect(remove()).rejects.toMatchObject({ code: 'STILL_USED', message: expect.stringContaining(one.name) });
    await rollOut(store, one.deploymentId, without);
    await remove();
    expect(await find()).toMatchObject({ removing: true });
    await expect(stored([data])).rejects.toThrow('data is being removed');
  });

  it('a volume without data is over at once; one with data when its node has removed it', async () => {
    await createVolume(database.db, { ...tenant, name: 'empty', ...mutation() });
    expect(await remove('empty')).toEqual({ nodeId: null });
    expect(await find('empty')).toBeUndefined();
    const nodeId = await aReadyNode(database.db);
    const one = await running([data]);
    await purge(one);
    const deletion = { ...tenant, name: 'data', ...mutation() };
    expect(await deleteVolume(database.db, deletion)).toEqual({ nodeId });
    expect(await deleteVolume(database.db, deletion)).toEqual({ nodeId });
    const doomed = await store.listDoomed({ nodeId });
    expect(doomed.volumes).toHaveLength(1);
    await store.forgetDoomed({ nodeId, ...doomed });
    expect(await find()).toBeUndefined();
    expect(await deleteVolume(database.db, deletion)).toEqual({ nodeId: null });
    await expect(remove()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('races with a deploy, and one of the two is refused', { repeats: 9 }, async () => {
    await aReadyNode(database.db);
    await purge(await running([data]));
    const [deletion, creation] = await Promise.allSettled([remove(), stored([data])]);
    expect([deletion.status, creation.status].sort()).toEqual(['fulfilled', 'rejected']);
    const { removing, mountedBy } = (await find()) ?? {};
    expect(removing).toBe(deletion.status === 'fulfilled');
    expect(mountedBy).toHaveLength(creation.status === 'fulfilled' ? 1 : 0);
  });
});

describe('a replica that is left on a node that does not answer', () => {
  it('keeps the next one from being placed, since the data is there', async () => {
    const home = await aReadyNode(database.db);
    const one = await running([data]);
    await aReadyNode(database.db);
    await database.db.updateTable('nodes').set({ state: 'lost' }).where('id', '=', home).execute();
    const next = await deploy(one, aSpec({ volumes: [data], source: { kind: 'image', reference: 'other:1' } }));
    const ref = { deploymentId: one.deploymentId, operationId: next.operationId };
    await store.beginRollout(ref);
    const replicaIds = one.plan.reserved.map(({ replicaId }) => replicaId);
    await store.forgetReplicas({ ...ref, removed: [], unreachable: replicaIds });
    const starts = [{ service: 'app', revision: 2, count: 1 }];
    const refused = { code: 'NO_NODE_READY', message: expect.stringContaining('which is lost') };
    await expect(store.reserveReplicas({ ...ref, batch: 1, starts })).rejects.toMatchObject(refused);
  });
});
