import { beforeEach, describe, expect, it } from 'vitest';
import type { StoreActivities } from '../../contracts/activities.ts';
import type { Move } from '../../domain/move.ts';
import type { DeploymentSpec, VolumeMount } from '../../domain/spec.ts';
import { aRequest, aSpec } from '../../test/support/builders.ts';
import { aCreation, aReadyNode, aStarted, aTenant, rollOut, withoutNodes } from '../../test/support/control-data.ts';
import { useTestDatabase } from '../../test/support/database.ts';
import { findVolumeSource } from './carried-volumes.ts';
import { createDeploymentStore } from './deployment-store.ts';
import { findVolume } from './volumes.ts';

const database = useTestDatabase();

const [A, B, C] = ['host-000a', 'host-000b', 'host-000c'];
const DATA: VolumeMount = { volume: 'data', path: '/data', readOnly: false };
const ALONG: Move = { from: null, to: B, replicas: null, volumes: true };
const FAILURE = { code: 'REPLICA_UNHEALTHY', message: 'it does not answer', hint: '' };

let store: StoreActivities;
beforeEach(async () => {
  await withoutNodes(database.db);
  const placement = { strategy: 'spread', maxDeploymentsPerNode: 50 } as const;
  store = createDeploymentStore(database.db, { domain: 'example.test', placement });
  for (const nodeId of [A, B, C]) await aReadyNode(database.db, { nodeId });
});

/** A deployment that writes a volume on the first node, and what is done to it. */
async function aWriter(spec: DeploymentSpec = aSpec({ replicas: 1, volumes: [DATA] }), tenant = aTenant(database.db)) {
  const creation = aCreation(await tenant, { spec });
  const { deploymentId, projectId } = creation;
  await rollOut(store, deploymentId, await store.storeOperation(creation));
  const ask = async (move: Move) => {
    const request = aRequest({ kind: 'move', move });
    const { operationId } = await store.storeOperation({ ...creation, request });
    return { deploymentId, operationId };
  };
  const volume = () => findVolume(database.db, { projectId, name: 'data' });
  return { creation, deploymentId, ask, volume };
}

const volumesOf = ({ services }: Awaited<ReturnType<StoreActivities['beginRollout']>>) =>
  services.flatMap(({ template }) => template.volumes ?? []);

describe('a volume that goes along', () => {
  it('is made a copy of while nothing writes it, and the copy that is left is to go', async () => {
    const { ask, volume } = await aWriter();
    const before = await volume();
    const volumeId = before?.id ?? '';
    const ref = await ask(ALONG);
    const plan = await store.beginRollout(ref);
    expect(plan).toMatchObject({
      policy: { strategy: 'recreate' },
      reserved: [{ nodeId: B }],
      existing: [{ replicaId: 'r1-0', givenUp: true }],
      carries: [{ volumeId, from: A, to: B, copy: 1 }],
    });
    expect(volumesOf(plan)).toEqual([{ volumeId, path: '/data', readOnly: false, copy: 1 }]);
    expect(await store.beginRollout(ref)).toEqual(plan);
    expect(await volume()).toMatchObject({ nodeId: A, copy: 0 });
    await store.recordCarried(ref);
    await store.recordCarried(ref);
    expect(await volume()).toMatchObject({ nodeId: B, copy: 1 });
    await store.switchRoutes({ ...ref, serve: [aStarted('r1-1')], resume: [], drain: ['r1-0'], weight: null });
    await store.forgetReplicas({ ...ref, removed: ['r1-0'], unreachable: [] });
    expect((await store.listDoomed({ nodeId: A })).volumes).toEqual([]);
    await store.finishOperation(ref);
    const doomed = await store.listDoomed({ nodeId: A });
    expect(doomed.volumes).toEqual([{ volumeId }]);
    await store.forgetDoomed({ nodeId: A, ...doomed });
    expect((await store.listDoomed({ nodeId: A })).volumes).toEqual([]);
    expect(await volume()).toMatchObject({ nodeId: B, copy: 1, removing: false });
  });

  it('is mounted as the copy that it is by whatever is started later', async () => {
    const { creation, ask, volume } = await aWriter();
    const ref = await ask(ALONG);
    await store.beginRollout(ref);
    await store.recordCarried(ref);
    await store.switchRoutes({ ...ref, serve: [aStarted('r1-1')], resume: [], drain: ['r1-0'], weight: null });
    await store.forgetReplicas({ ...ref, removed: ['r1-0'], unreachable: [] });
    await store.finishOperation(ref);
    const request = aRequest({ kind: 'restart' });
    const { operationId } = await store.storeOperation({ ...creation, request });
    const plan = await store.beginRollout({ deploymentId: creation.deploymentId, operationId });
    expect(volumesOf(plan)).toMatchObject([{ volumeId: (await volume())?.id, copy: 1 }]);
    expect(plan).not.toHaveProperty('carries');
  });

  it('goes where there is room when no node is named', async () => {
    const { ask } = await aWriter();
    const { carries } = await store.beginRollout(await ask({ from: A, to: null, replicas: null, volumes: true }));
    expect(carries).toMatchObject([{ from: A, to: expect.stringMatching(/host-000[bc]/) }]);
  });

  it('stays where it is when there is no room for what mounts it, before anything is stopped', async () => {
    const small = await aReadyNode(database.db, { nodeId: 'host-tiny', memoryBytes: 1024 ** 2 });
    const { ask, volume } = await aWriter();
    const ref = await ask({ ...ALONG, to: small });
    await expect(store.beginRollout(ref)).rejects.toMatchObject({ code: 'INSUFFICIENT_CAPACITY' });
    await store.failOperation({ ...ref, failure: FAILURE });
    expect(await volume()).toMatchObject({ nodeId: A, copy: 0 });
    await expect(store.beginRollout(await ask(ALONG))).resolves.toMatchObject({ carries: [{ to: B }] });
  });

  it('is where it was when what was started there has never served, and the copy there is to go', async () => {
    const { ask, volume } = await aWriter();
    const volumeId = (await volume())?.id;
    const ref = await ask(ALONG);
    await store.beginRollout(ref);
    await store.recordCarried(ref);
    const back = await store.planReturn({ ...ref, unused: ['r1-1'] });
    expect(volumesOf(back)).toEqual([{ volumeId, path: '/data', readOnly: false }]);
    expect(await volume()).toMatchObject({ nodeId: A, copy: 0 });
    await store.forgetReplicas({ ...ref, removed: ['r1-0'], unreachable: [] });
    const starts = [{ service: 'app', revision: 1, count: 1 }];
    expect(await store.reserveReplicas({ ...ref, batch: 1, starts, back: true })).toMatchObject([{ nodeId: A }]);
    await store.failOperation({ ...ref, failure: FAILURE });
    expect((await store.listDoomed({ nodeId: A })).volumes).toEqual([]);
    expect((await store.listDoomed({ nodeId: B })).volumes).toEqual([{ volumeId, copy: 1 }]);
    // What is late with the removal of the first copy there must not meet the second one.
    expect((await store.beginRollout(await ask(ALONG))).carries).toMatchObject([{ copy: 2 }]);
  });

  it('stays where it has gone once that has served: it has been written since', async () => {
    const { ask, volume } = await aWriter();
    const ref = await ask(ALONG);
    await store.beginRollout(ref);
    await store.recordCarried(ref);
    await store.switchRoutes({ ...ref, serve: [aStarted('r1-1')], resume: [], drain: ['r1-0'], weight: null });
    await store.planReturn({ ...ref, unused: [] });
    expect(await volume()).toMatchObject({ nodeId: B, copy: 1 });
    await store.failOperation({ ...ref, failure: { ...FAILURE, code: 'CANCELLED' } });
    expect((await store.listDoomed({ nodeId: A })).volumes).toHaveLength(1);
    expect((await store.listDoomed({ nodeId: B })).volumes).toEqual([]);
  });

  it('is not mounted by anybody else meanwhile, and does not go from under others', async () => {
    const tenant = aTenant(database.db);
    const { ask } = await aWriter(undefined, tenant);
    const reader = aSpec({ replicas: 1, volumes: [{ ...DATA, readOnly: true }] });
    const ref = await ask(ALONG);
    await store.beginRollout(ref);
    const other = aCreation(await tenant, { spec: reader, createAs: 'reader' });
    const accepted = await store.storeOperation(other);
    await expect(
      store.beginRollout({ deploymentId: other.deploymentId, operationId: accepted.operationId }),
    ).rejects.toMatchObject({ code: 'NO_NODE_READY', message: expect.stringContaining('data is being moved') });
    await store.failOperation({ ...ref, failure: FAILURE });
    await expect(store.beginRollout(await ask(ALONG))).rejects.toMatchObject({
      code: 'NO_NODE_READY',
      message: expect.stringMatching(/cannot move .*: .* mounts its volume data as well/),
    });
  });

  it('is told of to the node that it goes to, and to no other', async () => {
    const { ask, volume } = await aWriter();
    const volumeId = (await volume())?.id ?? '';
    const ref = await ask(ALONG);
    await store.beginRollout(ref);
    const source = { nodeId: A, copy: 0, isLost: false };
    expect(await findVolumeSource(database.db, { volumeId, copy: 1, nodeId: B })).toMatchObject(source);
    const refused = [
      { volumeId, copy: 1, nodeId: C },
      { volumeId, copy: 0, nodeId: B },
    ];
    for (const wanted of refused) {
      await expect(findVolumeSource(database.db, wanted)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
    await store.recordCarried(ref);
    await expect(findVolumeSource(database.db, { volumeId, copy: 1, nodeId: B })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});
