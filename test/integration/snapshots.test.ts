import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeploymentStatus, OperationKind, OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { type Snapshot, SnapshotState } from '../../gen/obiente/cloud/v1/volumes_pb.ts';
import { eventually } from '../support/eventually.ts';
import { askThroughIngress } from '../support/http.ts';
import { obiente, openApi, pidOf } from '../support/platform.ts';
import { refusalOf } from '../support/refusal.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { createSubject, firstProject, type SpecInit, type Subject } from './deployed.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
afterAll(() => api.close());

let projectId = '';
beforeAll(async () => {
  projectId = await firstProject(api);
});

const key = () => ({ idempotencyKey: randomUUID(), projectId });
const PATIENCE = { patienceMs: 120_000 };

/** Enough that a kill finds it half-way. */
const MEGABYTES = 256;

/** Serves a hash of what is in the volume, which its first start fills. */
function aHasher(volume: string): SpecInit {
  const fill = `test -f /data/blob || dd if=/dev/urandom of=/data/blob bs=1M count=${MEGABYTES}`;
  const serve = 'mkdir -p /tmp/www && md5sum /data/blob > /tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www';
  return {
    source: { case: 'image', value: { reference: docker.corner.image } },
    port: 8080,
    command: ['/bin/sh', '-c', `${fill}; ${serve}`],
    limits: { cpuCores: 1, memoryBytes: 64n * 1024n * 1024n },
    volumes: [{ volume, path: '/data' }],
  } as SpecInit;
}

async function hashOf(subject: Subject): Promise<string> {
  expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
  const { body } = await askThroughIngress(platform.httpPort, `${subject.name}.localhost`);
  return body.split(' ')[0] ?? '';
}

async function snapshotOf(id: string): Promise<Snapshot> {
  const { snapshots } = await api.volumes.listSnapshots({ projectId });
  const found = snapshots.find((snapshot) => snapshot.id === id);
  if (!found) throw new Error('the snapshot is gone');
  return found;
}

/** Waits until a snapshot is whole, or a volume is made. */
const untilWhole = (id: string) =>
  eventually(async () => {
    const snapshot = await snapshotOf(id);
    expect(snapshot).toMatchObject({ state: SnapshotState.SUCCEEDED, errorMessage: '' });
    return snapshot;
  }, PATIENCE);
const untilMade = (name: string) =>
  eventually(async () => {
    const { volume } = await api.volumes.getVolume({ projectId, name });
    expect(volume).toMatchObject({ restoringFrom: '', restoreError: '' });
  }, PATIENCE);

const files = async (): Promise<string[]> =>
  await readdir(join(platform.stateDir, 'node', 'snapshots')).catch(() => []);

/** Kills the node process as soon as something is seen. */
async function killNodeOnce(isSeen: () => Promise<boolean>): Promise<void> {
  const pid = await pidOf(platform, 'node');
  await eventually(async () => expect(await isSeen()).toBe(true), PATIENCE);
  process.kill(pid, 'SIGKILL');
}

async function helperIsThere(part: '-read-' | '-fill'): Promise<boolean> {
  const containers = await docker.corner.client.listContainers({ all: true });
  return containers.some(({ Names }) => Names.some((name) => name.includes(platform.instance) && name.includes(part)));
}

async function removeAll(volumes: readonly string[], snapshotId: string): Promise<void> {
  for (const name of volumes) await api.volumes.deleteVolume({ ...key(), name });
  await api.volumes.deleteSnapshot({ ...key(), snapshotId });
  await eventually(async () => {
    const { snapshots } = await api.volumes.listSnapshots({ projectId });
    expect(snapshots).toEqual([]);
    for (const name of volumes) {
      expect(await refusalOf(api.volumes.getVolume({ projectId, name }))).toMatchObject({ code: 'NotFound' });
    }
  }, PATIENCE);
  expect(await files()).toEqual([]);
}

describe('a snapshot', { timeout: 300_000 }, () => {
  it('is whole, and so is what is made of it, when the node is killed in the middle of both', async () => {
    const volume = `data-${randomUUID().slice(0, 8)}`;
    const subject = await createSubject(api, aHasher(volume));
    const before = await hashOf(subject);
    expect(before).toMatch(/^[0-9a-f]{32}$/);

    const { snapshot } = await api.volumes.createSnapshot({ ...key(), name: volume });
    const id = snapshot?.id ?? '';
    await killNodeOnce(async () => (await files()).includes(`${id}.tar.part`));
    const whole = await untilWhole(id);
    expect(Number(whole.sizeBytes)).toBeGreaterThan(MEGABYTES * 1024 * 1024);
    expect(await files()).toEqual([`${id}.tar`]);

    const copy = `${volume}-copy`;
    await api.volumes.restoreSnapshot({ ...key(), snapshotId: id, name: copy });
    const early = createSubject(api, aHasher(copy));
    await expect(early).rejects.toThrow(`${copy} is being restored`);
    await killNodeOnce(() => helperIsThere('-fill'));
    await untilMade(copy);
    const second = await createSubject(api, aHasher(copy));
    expect(await hashOf(second)).toBe(before);
    expect(await helperIsThere('-fill')).toBe(false);
    expect(await helperIsThere('-read-')).toBe(false);

    await subject.remove();
    await second.remove();
    await removeAll([volume, copy], id);
  });

  it('is taken while its writer is stopped, which runs again after the orchestrator was killed in the middle', async () => {
    const volume = `data-${randomUUID().slice(0, 8)}`;
    const subject = await createSubject(api, aHasher(volume));
    const before = await hashOf(subject);
    const { operation: first } = await subject.get();
    const taken = await obiente(platform, '--json', 'volumes', 'snapshot', volume, '--stop');
    const { id } = JSON.parse(taken.stdout) as { id: string };
    await eventually(async () => expect((await subject.get()).status).toBe(DeploymentStatus.STOPPED), PATIENCE);
    const killed = await pidOf(platform, 'orchestrator');
    await eventually(async () => expect((await files()).some((name) => name.startsWith(id))).toBe(true), PATIENCE);
    process.kill(killed, 'SIGKILL');
    await untilWhole(id);
    await eventually(async () => expect((await subject.get()).status).toBe(DeploymentStatus.RUNNING), PATIENCE);
    const { operations } = await api.operations.listOperations({ deploymentId: subject.id });
    const kinds = operations.map(({ kind, reason }) => [kind, reason]);
    expect(kinds).toEqual([
      [OperationKind.START, `snapshot ${id}`],
      [OperationKind.STOP, `snapshot ${id}`],
      [OperationKind.DEPLOY, ''],
    ]);
    expect(operations[0]?.actorUserId).toBe(first?.actorUserId);
    const { body } = await askThroughIngress(platform.httpPort, `${subject.name}.localhost`);
    expect(body.split(' ')[0]).toBe(before);
    await subject.remove();
    await removeAll([volume], id);
  });
});
