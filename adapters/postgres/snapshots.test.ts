import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import type { StoreActivities } from '../../contracts/activities.ts';
import type { SnapshotRecords } from '../../contracts/volumes.ts';
import { aRequest, aSpec } from '../../test/support/builders.ts';
import { aCreation, aReadyNode, aTenant, rollOut, type Tenant, withoutNodes } from '../../test/support/control-data.ts';
import { useTestDatabase } from '../../test/support/database.ts';
import { createDeploymentStore } from './deployment-store.ts';
import { deleteProject } from './projects.ts';
import { createSnapshotRecords } from './snapshot-records.ts';
import { beginRestore, createSnapshot, deleteSnapshot, listSnapshots } from './snapshots.ts';
import { createVolume, deleteVolume, findVolume } from './volumes.ts';

const database = useTestDatabase();
const KEPT = 3;
const CONTENT = { sizeBytes: 10, sha256: 'b'.repeat(64) };
const FAILURE = { code: 'INSUFFICIENT_CAPACITY', message: 'the disk is full', hint: '' };

let store: StoreActivities;
let records: SnapshotRecords;
let tenant: Tenant;
let nodeId: string;

beforeEach(async () => {
  await withoutNodes(database.db);
  const placement = { strategy: 'least-loaded', maxDeploymentsPerNode: 50 } as const;
  store = createDeploymentStore(database.db, { domain: 'example.test', placement });
  records = createSnapshotRecords(database.db, { kept: KEPT });
  tenant = await aTenant(database.db);
  nodeId = await aReadyNode(database.db);
});

const mutation = () => ({ idempotencyKey: `key-${randomUUID()}`, requestHash: 'a'.repeat(64) });

async function aPlacedVolume(name = 'data') {
  const volume = await createVolume(database.db, { ...tenant, name, ...mutation() });
  await database.db.updateTable('volumes').set({ node_id: nodeId }).where('id', '=', volume.id).execute();
  return volume;
}

const begin = (name = 'data') => createSnapshot(database.db, { ...tenant, name, ...mutation() });

async function aWhole() {
  const { id } = await begin();
  await records.finishSnapshot({ snapshotId: id, ...CONTENT });
  return id;
}

const restore = (snapshotId: string, name: string) =>
  beginRestore(database.db, { ...tenant, snapshotId, name, ...mutation() });
const all = () => listSnapshots(database.db, { projectId: tenant.projectId, volumeName: undefined, limit: 100 });

describe('a snapshot', () => {
  it('is begun once for a key, of a volume that has data', async () => {
    await createVolume(database.db, { ...tenant, name: 'empty', ...mutation() });
    await expect(begin('empty')).rejects.toThrow('it has no data yet');
    await expect(begin('none')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await aPlacedVolume();
    const request = { ...tenant, name: 'data', ...mutation() };
    const first = await createSnapshot(database.db, request);
    expect(first).toMatchObject({ state: 'running', nodeId, volumeName: 'data', sizeBytes: null });
    expect(await createSnapshot(database.db, request)).toEqual(first);
    expect(await all()).toHaveLength(1);
  });

  it('ends once, as whole or as failed', async () => {
    await aPlacedVolume();
    const [whole, failed] = [await aWhole(), (await begin()).id];
    await records.failSnapshot({ snapshotId: failed, failure: FAILURE });
    await records.finishSnapshot({ snapshotId: failed, ...CONTENT });
    await records.failSnapshot({ snapshotId: whole, failure: FAILURE });
    expect(await all()).toMatchObject([
      { id: whole, state: 'succeeded', ...CONTENT, errorCode: null },
      { id: failed, state: 'failed', sizeBytes: null, errorCode: 'INSUFFICIENT_CAPACITY' },
    ]);
  });

  it('takes the place of the oldest of its volume, which its node then removes; never of one that is restored', async () => {
    await aPlacedVolume();
    const ids: string[] = [];
    for (let count = 0; count < KEPT; count += 1) ids.push(await aWhole());
    await restore(ids[1] ?? '', 'copy');
    for (let count = 0; count < KEPT; count += 1) ids.push(await aWhole());
    const removing = (await all()).filter((snapshot) => snapshot.removing).map(({ id }) => id);
    expect(removing.sort()).toEqual([ids[0], ids[2]].sort());
    const doomed = await store.listDoomed({ nodeId });
    expect(doomed.snapshots?.map(({ snapshotId }) => snapshotId).sort()).toEqual(removing.sort());
    await store.forgetDoomed({ nodeId, ...doomed });
    expect(await all()).toHaveLength(KEPT + 1);
  });

  it('that is being taken keeps its volume from being deleted', async () => {
    await aPlacedVolume();
    const { id } = await begin();
    const remove = () => deleteVolume(database.db, { ...tenant, name: 'data', ...mutation() });
    await expect(remove()).rejects.toMatchObject({ code: 'STILL_USED' });
    await records.failSnapshot({ snapshotId: id, failure: FAILURE });
    expect(await remove()).toEqual({ nodeId });
  });

  it('outlives its volume, keeps its project, and goes when it is deleted', async () => {
    await aPlacedVolume();
    const id = await aWhole();
    await deleteVolume(database.db, { ...tenant, name: 'data', ...mutation() });
    await store.forgetDoomed({ nodeId, ...(await store.listDoomed({ nodeId })) });
    expect(await all()).toHaveLength(1);
    const deletion = deleteProject(database.db, { ...tenant, ...mutation() });
    await expect(deletion).rejects.toMatchObject({ code: 'PROJECT_NOT_EMPTY' });
    const other = await aTenant(database.db);
    const foreign = deleteSnapshot(database.db, { ...other, snapshotId: id, ...mutation() });
    await expect(foreign).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const wanted = { ...tenant, snapshotId: id, ...mutation() };
    expect(await deleteSnapshot(database.db, wanted)).toEqual({ nodeId });
    expect(await deleteSnapshot(database.db, wanted)).toEqual({ nodeId });
    expect((await store.listDoomed({ nodeId })).snapshots).toEqual([{ snapshotId: id }]);
  });
});

describe('a volume that is made of a snapshot', () => {
  const naming = (name: string) =>
    store.storeOperation(
      aCreation(tenant, {
        createAs: `app-${randomUUID().slice(0, 8)}`,
        spec: aSpec({ volumes: [{ volume: name, path: '/data', readOnly: false }] }),
      }),
    );

  it('can be mounted once it is whole, and neither it nor its snapshot is deleted before', async () => {
    await aPlacedVolume();
    const snapshotId = await aWhole();
    const { volume, content } = await restore(snapshotId, 'copy');
    expect({ volume, content }).toMatchObject({ volume: { nodeId, restoringFrom: snapshotId }, content: CONTENT });
    await expect(naming('copy')).rejects.toThrow('copy is being restored');
    await expect(begin('copy')).rejects.toThrow('it is not restored');
    const stillUsed = { code: 'STILL_USED' };
    await expect(deleteSnapshot(database.db, { ...tenant, snapshotId, ...mutation() })).rejects.toMatchObject(
      stillUsed,
    );
    const deletion = deleteVolume(database.db, { ...tenant, name: 'copy', ...mutation() });
    await expect(deletion).rejects.toMatchObject(stillUsed);
    await records.endRestore({ volumeId: volume.id, failure: null });
    await naming('copy');
    await expect(restore(snapshotId, 'copy')).rejects.toMatchObject({ code: 'NAME_TAKEN' });
  });

  it('can only be deleted when it could not be made', async () => {
    await aPlacedVolume();
    const { volume } = await restore(await aWhole(), 'copy');
    await records.endRestore({ volumeId: volume.id, failure: FAILURE });
    await records.endRestore({ volumeId: volume.id, failure: null });
    const { projectId } = tenant;
    const error = 'INSUFFICIENT_CAPACITY: the disk is full';
    expect(await findVolume(database.db, { projectId, name: 'copy' })).toMatchObject({ restoreError: error });
    await expect(naming('copy')).rejects.toThrow('copy could not be restored');
    expect(await deleteVolume(database.db, { ...tenant, name: 'copy', ...mutation() })).toEqual({ nodeId });
  });

  it('is not made of a snapshot that is not whole', async () => {
    await aPlacedVolume();
    await expect(restore((await begin()).id, 'copy')).rejects.toThrow('it is not whole');
    const gone = await aWhole();
    await deleteSnapshot(database.db, { ...tenant, snapshotId: gone, ...mutation() });
    await expect(restore(gone, 'copy')).rejects.toThrow('it is being removed');
    await expect(restore(randomUUID(), 'copy')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('what writes a volume', () => {
  const volumes = [{ volume: 'data', path: '/data', readOnly: false }];

  /** A deployment that writes the volume and runs, and the words of this test. */
  async function aWriter() {
    const creation = aCreation(tenant, { spec: aSpec({ replicas: 1, volumes }) });
    const { deploymentId } = creation;
    const volume = await aPlacedVolume();
    const accepted = await store.storeOperation(creation);
    const find = () => records.findWriter({ volumeId: volume.id });
    const busy = await find();
    await rollOut(store, deploymentId, accepted);
    const ask = async (kind: 'stop' | 'start' | 'restart', end: 'done' | 'failed' | 'queued' = 'done') => {
      const { operationId } = await store.storeOperation({ ...creation, request: aRequest({ kind }) });
      const ref = { deploymentId, operationId };
      if (end !== 'queued') await store.beginRollout(ref);
      if (end === 'done') await store.finishOperation(ref);
      if (end === 'failed') await store.failOperation({ ...ref, failure: FAILURE });
      return operationId;
    };
    return { volume, deploymentId, find, busy, ask };
  }

  it('is nobody, or a deployment that runs, is about to, or stands still', async () => {
    const lonely = await aPlacedVolume('lonely');
    expect(await records.findWriter({ volumeId: lonely.id })).toBeNull();
    const { deploymentId, find, busy, ask } = await aWriter();
    expect(busy).toMatchObject({ deploymentId, runs: true });
    expect(await find()).toMatchObject({ deploymentId, runs: true });
    const stop = await ask('stop');
    const end = await records.findEnd({ operationId: stop });
    expect(end).toMatchObject({ succeeded: true });
    expect(await find()).toEqual({ deploymentId, runs: false, sequence: end?.sequence });
    await ask('start', 'queued');
    expect(await find()).toMatchObject({ runs: true });
    expect(await records.findEnd({ operationId: randomUUID() })).toBeNull();
  });

  it.each<[string, ('stop' | 'start')[], 'done' | 'failed' | 'queued', boolean, boolean]>([
    ['nothing', [], 'done', true, true],
    ['a start', ['start'], 'done', false, false],
    ['a start that waits', ['start'], 'queued', true, false],
    ['a start that failed', ['start'], 'failed', false, true],
    ['another stop', ['stop'], 'done', true, false],
    ['a start and a stop', ['start', 'stop'], 'done', false, false],
  ])('after %s stood still or not, and is to be started again or not', async (_, kinds, end, stoodStill, isToStart) => {
    const { deploymentId, ask } = await aWriter();
    const stopped = await records.findEnd({ operationId: await ask('stop') });
    for (const kind of kinds) await ask(kind, end);
    const { sequence = 0 } = stopped ?? {};
    expect(await records.lookBack({ deploymentId, sequence })).toEqual({ stoodStill, isToStart });
  });

  it('says why it could not be stopped', async () => {
    const { ask } = await aWriter();
    const failed = await records.findEnd({ operationId: await ask('stop', 'failed') });
    expect(failed).toMatchObject({ succeeded: false, error: FAILURE.message });
    const waiting = await records.findEnd({ operationId: await ask('stop', 'queued') });
    expect(waiting).toMatchObject({ succeeded: false, error: 'the operation is queued' });
  });
});
