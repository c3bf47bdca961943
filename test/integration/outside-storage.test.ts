import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import Dockerode from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Api } from '../../cli/client.ts';
import { LABEL } from '../../domain/naming.ts';
import { OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { SnapshotState } from '../../gen/obiente/cloud/v1/volumes_pb.ts';
import { DOCKER_SOCKET } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { startTestObjectStorage, type TestObjectStorage } from '../support/object-storage.ts';
import { obiente, openApi, startTestPlatform } from '../support/platform.ts';
import { REGISTRY_USERS, removeImagesOf, startTestRegistry, type TestRegistry } from '../support/registry.ts';
import { removeInstance } from '../support/remove-instance.ts';
import { aBuilt, eventsOf, upload } from './built.ts';
import { createSubject, firstProject, type SpecInit, type Subject } from './deployed.ts';

const docker = new Dockerode({ socketPath: DOCKER_SOCKET });
const { username, password } = REGISTRY_USERS.alice;

let registry: TestRegistry;
let objects: TestObjectStorage;
let folder: string;
let platform: Awaited<ReturnType<typeof startTestPlatform>>;
let api: Api;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'obiente-build-registry-'));
  const credential = join(folder, 'credential');
  await writeFile(credential, `${username}:${password}\n`, { mode: 0o600 });
  registry = await startTestRegistry({ authenticated: true });
  objects = await startTestObjectStorage();
  const keyFile = join(folder, 'object-key');
  await writeFile(keyFile, `${objects.accessKeyId}:${objects.secretAccessKey}\n`, { mode: 0o600 });
  platform = await startTestPlatform({
    ...{ BUILD_REGISTRY: `${registry.host}/builds`, BUILD_REGISTRY_CREDENTIAL_FILE: credential },
    ...{ SNAPSHOT_S3_BUCKET: objects.bucket, SNAPSHOT_S3_ENDPOINT: objects.endpoint, SNAPSHOT_S3_PREFIX: 'backups/' },
    SNAPSHOT_S3_CREDENTIAL_FILE: keyFile,
  });
  api = openApi(platform);
}, 240_000);
afterAll(async () => {
  api?.close();
  await platform?.stop();
  if (platform) await removeInstance(docker, platform.instance);
  await objects?.remove();
  await registry?.remove(docker);
  await rm(folder, { recursive: true, force: true });
}, 120_000);

/** A spec whose image no build has made before. */
async function aFreshBuild(): Promise<SpecInit> {
  const dockerfile = ['FROM scratch', 'COPY busybox /bin/sleep', `ENV MARK=${randomUUID()}`].join('\n');
  return await aBuilt(api, { Dockerfile: dockerfile, busybox: await readFile('/bin/busybox') });
}

async function runningImage({ id }: Subject): Promise<string> {
  const containers = await docker.listContainers({ filters: { label: [`${LABEL.deploymentId}=${id}`] } });
  expect(containers).toHaveLength(1);
  return containers[0]?.ImageID ?? '';
}

/** Tags of a deployment's images in the registry. */
async function pushedTags({ id }: Subject): Promise<readonly string[]> {
  const repository = `builds/${platform.instance}/${id.replaceAll('-', '')}`;
  const authorization = `Basic ${btoa(`${username}:${password}`)}`;
  const answer = await fetch(`http://${registry.host}/v2/${repository}/tags/list`, { headers: { authorization } });
  return answer.ok ? ((await answer.json()) as { tags: string[] }).tags : [];
}

/** Lets the node lose an image, as a disk that was replaced does. */
async function lose(imageId: string): Promise<void> {
  await docker.getImage(imageId).remove({ force: true });
  await removeImagesOf(docker, registry.host);
  const images = await docker.listImages({ all: true });
  expect(images.map(({ Id }) => Id)).not.toContain(imageId);
}

/** Keys of everything in the bucket. */
async function keysOf(): Promise<string[]> {
  const { Contents: found = [] } = await objects.client.send(new ListObjectsV2Command({ Bucket: objects.bucket }));
  return found.flatMap(({ Key }) => Key ?? []);
}

describe('a registry for what is built', { timeout: 240_000 }, () => {
  it('has what is built, from where a node gets again what it has lost, by its digest', async () => {
    const subject = await createSubject(api, await aFreshBuild());
    expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
    const imageId = await runningImage(subject);
    expect(await pushedTags(subject)).toEqual(['r1-app']);

    const stopped = await api.deployments.stopDeployment({ idempotencyKey: randomUUID(), deploymentId: subject.id });
    expect(await subject.outcome(stopped.operation?.id)).toMatchObject({ state: OperationState.SUCCEEDED });
    await lose(imageId);
    const started = await api.deployments.startDeployment({ idempotencyKey: randomUUID(), deploymentId: subject.id });
    expect(await subject.outcome(started.operation?.id)).toMatchObject({
      ...{ state: OperationState.SUCCEEDED, errorMessage: '' },
    });
    expect(await runningImage(subject)).toBe(imageId);
    const events = await eventsOf(api, subject.id);
    expect(events.filter((event) => event.startsWith('build.started'))).toHaveLength(1);
    expect(JSON.stringify(events)).not.toContain(password);
    await subject.remove();
  });

  it('costs no deploy when it is away', async () => {
    await registry.stop();
    const subject = await createSubject(api, await aFreshBuild());
    expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
    await runningImage(subject);
    await registry.start();
    expect(await pushedTags(subject)).toEqual([]);
    const { id } = await subject.update(await aFreshBuild());
    expect(await subject.outcome(id)).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
    expect(await pushedTags(subject)).toEqual(['r2-app']);
    await subject.remove();
  });
});

describe('a bucket for snapshots', { timeout: 240_000 }, () => {
  it('has what the volume held, which comes back from there', async () => {
    const projectId = await firstProject(api);
    const key = () => ({ idempotencyKey: randomUUID(), projectId });
    const mark = randomUUID();
    const built = await upload(api, {
      Dockerfile: 'FROM scratch\nCOPY busybox /bin/sh',
      busybox: await readFile('/bin/busybox'),
    });
    const withVolume = (volume: string): SpecInit => ({
      source: { case: 'dockerfile', value: { contextSha256: built } },
      command: [
        '/bin/sh',
        '-c',
        `[ -f /data/mark ] || echo ${mark} > /data/mark; echo "mark $(cat /data/mark)"; exec sleep 86400`,
      ],
      limits: { cpuCores: 0.5, memoryBytes: 16n * 1024n * 1024n },
      volumes: [{ volume, path: '/data' }],
    });
    const subject = await createSubject(api, withVolume('kept'));
    expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });

    const { snapshot } = await api.volumes.createSnapshot({ ...key(), name: 'kept' });
    const snapshotId = snapshot?.id ?? '';
    await eventually(
      async () => {
        const { snapshots } = await api.volumes.listSnapshots({ projectId });
        expect(snapshots).toMatchObject([{ id: snapshotId, state: SnapshotState.SUCCEEDED, errorMessage: '' }]);
      },
      { patienceMs: 120_000 },
    );
    expect(await keysOf()).toEqual([`backups/${platform.instance}/${snapshotId}.tar`]);

    await api.volumes.restoreSnapshot({ ...key(), snapshotId, name: 'again' });
    await eventually(
      async () => {
        const { volume } = await api.volumes.getVolume({ projectId, name: 'again' });
        expect(volume).toMatchObject({ restoringFrom: '', restoreError: '' });
      },
      { patienceMs: 120_000 },
    );
    const second = await createSubject(api, {
      ...withVolume('again'),
      command: ['/bin/sh', '-c', 'cat /data/mark; exec sleep 86400'],
    });
    expect(await second.outcome()).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
    const logs = await obiente(platform, 'logs', second.name);
    expect(logs.stdout).toContain(mark);

    await subject.remove();
    await second.remove();
    for (const name of ['kept', 'again']) await api.volumes.deleteVolume({ ...key(), name });
    await api.volumes.deleteSnapshot({ ...key(), snapshotId });
    await eventually(async () => expect(await keysOf()).toEqual([]), { patienceMs: 120_000 });
  });
});
