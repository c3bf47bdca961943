import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Dockerode from 'dockerode';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Api } from '../../cli/client.ts';
import { LABEL } from '../../domain/naming.ts';
import { OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { DOCKER_SOCKET } from '../support/docker.ts';
import { openApi, startTestPlatform } from '../support/platform.ts';
import { REGISTRY_USERS, removeImagesOf, startTestRegistry, type TestRegistry } from '../support/registry.ts';
import { aBuilt, eventsOf } from './built.ts';
import { createSubject, type SpecInit, type Subject } from './deployed.ts';

const docker = new Dockerode({ socketPath: DOCKER_SOCKET });
const { username, password } = REGISTRY_USERS.alice;

let registry: TestRegistry;
let folder: string;
let platform: Awaited<ReturnType<typeof startTestPlatform>>;
let api: Api;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'obiente-build-registry-'));
  const credential = join(folder, 'credential');
  await writeFile(credential, `${username}:${password}\n`, { mode: 0o600 });
  registry = await startTestRegistry({ authenticated: true });
  platform = await startTestPlatform({
    BUILD_REGISTRY: `${registry.host}/builds`,
    BUILD_REGISTRY_CREDENTIAL_FILE: credential,
  });
  api = openApi(platform);
}, 240_000);
afterAll(async () => {
  api?.close();
  await platform?.stop();
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
