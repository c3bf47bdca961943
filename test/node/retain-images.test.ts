import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createEnsureReplica } from '../../activities/ensure-replica.ts';
import type { ReplicaPorts } from '../../activities/node-ports.ts';
import { createRetainImages } from '../../activities/retain-images.ts';
import { createDocker, type Docker } from '../../adapters/docker/docker.ts';
import { type BroughtName, createOwnImages } from '../../adapters/docker/own-images.ts';
import { createProber } from '../../adapters/probe/prober.ts';
import type { EnsureReplicaInput } from '../../contracts/node-activities.ts';
import type { NodeImageRules, RemovedImages } from '../../contracts/node-retention.ts';
import type { NamedImage, StartedReplica, WantedImage } from '../../contracts/rollout.ts';
import { builtImageTag, ownedLabels } from '../../domain/naming.ts';
import { DEFAULT_HEALTH_CHECK, DEFAULT_LIMITS, PLAIN_CONTAINER } from '../../domain/spec.ts';
import { DOCKER_SOCKET, openTestDocker, type TestDocker, tarOf } from '../support/docker.ts';
import { removeImagesOf, startTestRegistry, type TestRegistry } from '../support/registry.ts';
import { aWatchedDaemon } from '../support/well-daemon.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const AT_ONCE: NodeImageRules = { imagesMs: -1, baseImagesMs: -1 };
const WITHIN_THE_HOUR: NodeImageRules = { imagesMs: 3_600_000, baseImagesMs: 3_600_000 };

let test: TestDocker;
let registry: TestRegistry;

beforeAll(async () => {
  test = await openTestDocker();
  registry = await startTestRegistry({ authenticated: false });
});
afterAll(async () => {
  await registry?.remove(test.client);
  await test?.remove();
});
afterEach(async () => {
  for (const id of await test.listContainers()) await test.client.getContainer(id).remove({ force: true, v: true });
  await removeImagesOf(test.client, registry.host);
  const filters = { label: [`cloud.obiente.instance=${test.instance}`] };
  for (const { Id } of await test.client.listImages({ filters }))
    await test.client.getImage(Id).remove({ force: true });
});

const wanted = (reference: string): NamedImage => ({ kind: 'reference', reference, digest: null });

async function aPushed(bytes = 0): Promise<string> {
  const name = `acme/app-${randomUUID().slice(0, 8)}:1.0`;
  await registry.push(test.client, test.image, { name, mark: randomUUID(), bytes });
  return `${registry.host}/${name}`;
}

/** Makes an image present as a rollout does. @returns its id. */
async function pulled(reference: string, docker: Docker = test.docker): Promise<string> {
  return (await docker.ensureImage(wanted(reference), { deploymentId: randomUUID() })).imageId;
}

/** Builds an image for a revision. */
async function built(
  options: { deploymentId?: string; revision?: number; from?: string; bytes?: number; step?: string } = {},
) {
  const {
    deploymentId = randomUUID(),
    revision = 1,
    from = test.image,
    bytes = 0,
    step = `ENV X=${randomUUID()}`,
  } = options;
  const { imageId } = await test.docker.buildImage({
    context: tarOf({ Dockerfile: `FROM ${from}\n${step}\nCOPY big /\n`, big: Buffer.alloc(bytes, randomUUID()) }),
    dockerfilePath: 'Dockerfile',
    args: {},
    tag: builtImageTag(test.instance, { deploymentId, revision, service: 'app' }),
    labels: ownedLabels({ instance: test.instance, projectId: deploymentId, deploymentId }),
    limits: { cpuCores: 1, memoryBytes: 512 * 1024 * 1024 },
    signal: new AbortController().signal,
    onLine: () => undefined,
  });
  return { imageId, deploymentId };
}

function run<Input, Answer>(activity: (input: Input) => Promise<Answer>, input: Input): Promise<Answer> {
  const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  return environment.run(activity, input) as Promise<Answer>;
}

/** What a node's survey says, and what removing those images does. */
async function retain(
  options: { rules?: NodeImageRules; docker?: Docker; isDryRun?: boolean; keep?: readonly string[] } = {},
) {
  const { rules = AT_ONCE, docker = test.docker, isDryRun = false, keep = [] } = options;
  const node = createRetainImages(docker);
  const survey = await run(node.surveyImages, { afterId: '', limit: 200, rules });
  const candidates = survey.images.map(({ imageId }) => imageId);
  const imageIds = candidates.filter((id) => !keep.includes(id));
  const { layersBytes } = survey;
  const removed = await run(node.removeImages, { imageIds, rules, isDryRun, layersBytes });
  return { survey, candidates, removed };
}

async function exists(name: string): Promise<boolean> {
  return await test.client
    .getImage(name)
    .inspect()
    .then(
      () => true,
      () => false,
    );
}

describe('images on a node', () => {
  it('that were built or pulled go, with the bytes that the daemon has for them; nothing of anybody else does', async () => {
    const MIB = 1024 * 1024;
    const app = await aPushed(MIB);
    const theirs = await aPushed();
    await test.client.pull(theirs).then((stream) => finished(stream));
    const byHand = `by-hand-${test.instance}:1`;
    await test.client.getImage(test.image).tag({ repo: byHand.split(':')[0] ?? '', tag: '1' });
    const ours = [await pulled(app), (await built({ bytes: 2 * MIB })).imageId];

    const dry = await retain({ isDryRun: true });
    expect(dry.candidates.toSorted()).toEqual(ours.toSorted());
    expect(dry.removed).toEqual({ removed: 2, bytesFreed: expect.any(Number), kept: {} });
    for (const id of ours) expect(await exists(id)).toBe(true);
    const { removed } = await retain();
    expect(removed).toMatchObject({ removed: 2, kept: {} });
    for (const { bytesFreed } of [dry.removed, removed]) expect(bytesFreed).toBeGreaterThanOrEqual(3 * MIB);
    for (const id of ours) expect(await exists(id)).toBe(false);
    for (const name of [theirs, byHand, test.image]) expect(await exists(name)).toBe(true);
    expect((await retain()).candidates).toEqual([]);
    await test.client.getImage(byHand).remove();
  });

  it('that any container was made from stay, running or not, whoever made it', async () => {
    const app = await aPushed();
    const imageId = await pulled(app);
    const container = await test.client.createContainer({
      Image: app,
      Cmd: ['/bin/true'],
      Labels: { 'cloud.obiente.instance': test.instance },
    });
    const { candidates, survey } = await retain();
    expect([candidates, survey.kept]).toEqual([[], { 'used by a container, or by another image': 1 }]);
    const node = createRetainImages(test.docker);
    const again = { imageIds: [imageId], rules: AT_ONCE, isDryRun: false, layersBytes: null };
    expect(await run(node.removeImages, again)).toMatchObject({ removed: 0, bytesFreed: null });
    expect(await exists(app)).toBe(true);
    await container.remove();
    expect((await retain()).removed.removed).toBe(1);
  });

  it('that are in use by the time they are removed are refused by the daemon itself', async () => {
    const app = await aPushed();
    const imageId = await pulled(app);
    const own = await test.docker.listOwnImages(AT_ONCE);
    const container = await test.client.createContainer({ Image: app, Cmd: ['/bin/true'] });
    const [image] = own.filter((one) => one.imageId === imageId);
    expect(image && (await test.docker.removeOwnImage(image, AT_ONCE))).toBe(false);
    expect(await exists(app)).toBe(true);
    await container.remove();
  });

  it('stay within the hour: just pulled, just built, found for a rollout, or made anew from the cache', async () => {
    const app = await aPushed();
    const own = createOwnImages();
    const docker = aNode(own);
    await pulled(app, docker);
    const step = `ENV X=${randomUUID()}`;
    const { deploymentId } = await built({ step });
    expect((await retain({ rules: WITHIN_THE_HOUR, docker })).candidates).toEqual([]);
    const rules = { imagesMs: 0, baseImagesMs: 0 };
    expect((await retain({ rules, docker, isDryRun: true })).candidates).toHaveLength(2);

    const twoHoursAgo: BroughtName[] = [];
    for (const { names } of await docker.listOwnImages(AT_ONCE)) {
      for (const name of names)
        if (own.find(name)) twoHoursAgo.push({ name, isBase: false, usedAtMs: Date.now() - 7_200_000 });
    }
    const restarted = aNode(createOwnImages(twoHoursAgo));
    expect((await retain({ rules: WITHIN_THE_HOUR, docker: restarted, isDryRun: true })).candidates).toHaveLength(1);
    await pulled(app, restarted);
    expect((await retain({ rules: WITHIN_THE_HOUR, docker: restarted })).candidates).toEqual([]);
    const again = await built({ deploymentId, revision: 2, step });
    expect((await retain({ rules: WITHIN_THE_HOUR })).survey.kept).toEqual({ 'made, pulled or asked for of late': 1 });
    expect((await retain()).removed.removed).toBe(1);
    expect(await exists(again.imageId)).toBe(false);
  });

  it('with a name of somebody else, or of which it is not known who brought them, stay', async () => {
    const app = await aPushed();
    await pulled(app);
    await test.client.getImage(app).tag({ repo: `${registry.host}/mine`, tag: '1' });
    const { imageId } = await built();
    await test.client.getImage(imageId).tag({ repo: `${registry.host}/mine`, tag: '2' });
    const { candidates, survey } = await retain();
    expect([candidates, survey.kept]).toEqual([[], { 'have a name that somebody else gave them': 2 }]);
    const forgetful = aNode(createOwnImages());
    const { candidates: unknown } = await retain({ docker: forgetful });
    expect([unknown, await exists(app)]).toEqual([[], true]);
  });

  it('that were there before the platform asked for them are not its own', async () => {
    const app = await aPushed();
    await test.client.pull(app).then((stream) => finished(stream));
    await pulled(app);
    expect((await retain()).candidates).toEqual([]);
    expect(await exists(app)).toBe(true);
  });

  it('that a build began with are our own too, stay for builds to come, and go when nothing is built on them', async () => {
    const base = await aPushed();
    const { imageId } = await built({ from: base });
    const baseId = (await test.client.getImage(base).inspect()).Id;
    expect((await retain({ isDryRun: true })).candidates).toEqual([imageId]);
    const rules = { imagesMs: -1, baseImagesMs: 3_600_000 };
    expect((await retain({ rules })).candidates).toEqual([imageId]);
    const { candidates, survey } = await retain({ rules });
    expect([candidates, survey.kept]).toEqual([[], { 'made, pulled or asked for of late': 1 }]);
    expect((await retain()).candidates).toEqual([baseId]);
    expect(await exists(base)).toBe(false);
  });

  it('are removed once: a second attempt counts what the first one did', async () => {
    const ids = [await pulled(await aPushed()), await pulled(await aPushed())];
    const node = createRetainImages(test.docker);
    const { layersBytes } = await run(node.surveyImages, { afterId: '', limit: 200, rules: AT_ONCE });
    const input = { imageIds: ids, rules: AT_ONCE, isDryRun: false, layersBytes };
    const killed = { ...test.docker, removeOwnImage: killAfter(1) };
    await expect(run(createRetainImages(killed).removeImages, input)).rejects.toThrow('killed');
    const removed: RemovedImages = await run(node.removeImages, input);
    expect(removed).toMatchObject({ removed: 2, kept: {} });
    for (const id of ids) expect(await exists(id)).toBe(false);
  });

  it('are listed page by page', async () => {
    const ids = [await pulled(await aPushed()), await pulled(await aPushed()), await pulled(await aPushed())].sort();
    const { surveyImages } = createRetainImages(test.docker);
    const first = await run(surveyImages, { afterId: '', limit: 2, rules: AT_ONCE });
    const second = await run(surveyImages, { afterId: first.next ?? '', limit: 2, rules: AT_ONCE });
    expect([first, second].map(({ images }) => images.map(({ imageId }) => imageId))).toEqual([
      ids.slice(0, 2),
      ids.slice(2),
    ]);
    expect(second.next).toBeNull();
    await retain();
  });
});

describe('a rollout whose image is removed under its hands', () => {
  it('pulls it once more and comes up', async () => {
    const reference = await aPushed();
    const input = anInput(wanted(reference));
    let removals = 1;
    const removingOnce: ReplicaPorts['startSlot'] = async (task) => {
      if (removals > 0) await removeImagesOf(test.client, registry.host);
      removals -= 1;
      return await task();
    };
    const ports = aReplicasPorts({ startSlot: removingOnce });
    const { ensureReplica } = createEnsureReplica(ports);
    const failure = await run(ensureReplica, input).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'DOCKER_UNAVAILABLE' });
    const started = (await run(ensureReplica, input)) as StartedReplica;
    expect(started.containerId).toMatch(/^[0-9a-f]{64}$/);
    expect((await retain()).candidates).toEqual([]);
  });
});

describe('the build cache', () => {
  it('is measured, and cut down by the daemon itself, which frees nothing below the bound', async () => {
    const { pruneBuildCache } = createRetainImages(test.docker);
    const keepBytes = 1024 ** 4;
    expect(await run(pruneBuildCache, { keepBytes, isDryRun: true })).toEqual({ removed: 0, bytesFreed: 0 });
    expect(await run(pruneBuildCache, { keepBytes, isDryRun: false })).toEqual({ removed: 0, bytesFreed: 0 });
  });
});

/** This daemon as another node process sees it. */
function aNode(ownImages: ReturnType<typeof createOwnImages>): Docker {
  const { instance } = test;
  return createDocker({
    socketPath: DOCKER_SOCKET,
    instance,
    nodeAddress: '127.0.0.1',
    requestTimeoutMs: 30_000,
    ownImages,
  });
}

function killAfter(times: number): Docker['removeOwnImage'] {
  let left = times;
  return async (image, rules) => {
    left -= 1;
    if (left < 0) throw new Error('killed');
    return await test.docker.removeOwnImage(image, rules);
  };
}

async function finished(stream: NodeJS.ReadableStream): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    test.client.modem.followProgress(stream, (error) => (error ? reject(error) : resolve()));
  });
}

function anInput(image: WantedImage): EnsureReplicaInput {
  const template = {
    ...{ deploymentId: randomUUID(), projectId: randomUUID(), service: 'app', serviceName: 'app' },
    ...{ operationId: randomUUID(), revision: 1, port: null, command: ['/bin/sleep', '600'], limits: DEFAULT_LIMITS },
    healthCheck: { ...DEFAULT_HEALTH_CHECK, probe: { kind: 'none' } as const },
    ...{ restartPolicy: 'always' as const, hasEnvironment: false, container: PLAIN_CONTAINER },
  };
  return { template, replicaId: 'r1-0', index: 0, image };
}

function aReplicasPorts(changes: Partial<ReplicaPorts>): ReplicaPorts {
  return {
    instance: test.instance,
    nodeAddress: '127.0.0.1',
    runtime: test.docker,
    prober: createProber(),
    daemon: aWatchedDaemon().watch,
    fetchEnvironment: async () => ({}),
    fetchRegistryCredential: async () => null,
    ensureBuiltImage: () => Promise.reject(new Error('nothing is built here')),
    restarts: { claim: async () => () => undefined, retire: async () => undefined },
    startSlot: (task) => task(),
    onContainerChange: () => () => undefined,
    foundHealthy: () => undefined,
    keepFailureLog: async () => undefined,
    ...changes,
  };
}
