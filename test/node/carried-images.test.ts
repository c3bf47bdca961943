import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ImageHolder, WantedBuiltImage } from '../../activities/built-images.ts';
import { createDocker, type Docker } from '../../adapters/docker/docker.ts';
import { createArrivingFiles } from '../../adapters/files/arriving-files.ts';
import { createLog } from '../../adapters/logging/log.ts';
import { describeImage, openImage } from '../../adapters/node-client/open-export.ts';
import { createControlTokenSigner, createControlTokenVerifier } from '../../adapters/tokens/control-token.ts';
import { createImageTokenSigner, createImageTokenVerifier } from '../../adapters/tokens/image-token.ts';
import { generateControlKey } from '../../adapters/tokens/keys.ts';
import { DomainError } from '../../domain/errors.ts';
import { builtImageTag, ownedLabels } from '../../domain/naming.ts';
import { createBuiltImages } from '../../workers/node/built-images.ts';
import { type RunningGateway, startNodeGateway } from '../../workers/node/gateway.ts';
import { openTestDocker, type TestDocker, tarOf } from '../support/docker.ts';
import { type ExtraDocker, startExtraDocker } from '../support/extra-docker.ts';
import { freePort } from '../support/free-port.ts';
import { openTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const A = 'node-aaaa0000aaaa';
const B = 'node-bbbb0000bbbb';
const MIB = 1024 * 1024;

const control = generateControlKey();
const images = createImageTokenSigner(control.privateJwk);
const controlTokens = createControlTokenSigner(control.privateJwk);

/** Node A builds on the daemon of this machine; node B has a daemon of its own, which knows no image. */
let a: TestDocker;
let second: ExtraDocker;
let b: Docker;
let gateway: RunningGateway;
let gatewayPort: number;
let proxy: TcpProxy;
/** Where what node A sends is kept on node B. */
let folder: string;

beforeAll(async () => {
  [a, second, gatewayPort] = await Promise.all([openTestDocker(), startExtraDocker(), freePort()]);
  b = createDocker({
    ...{ socketPath: second.socketPath, instance: a.instance, nodeAddress: '127.0.0.1' },
    requestTimeoutMs: 30_000,
  });
  const getJwks = () => controlTokens.publicJwks;
  const verifier = createControlTokenVerifier({ getJwks, audience: `node:${A}` });
  const imageVerifier = createImageTokenVerifier({ getJwks, nodeId: A });
  gateway = await startNodeGateway({
    ...{ bindAddress: '127.0.0.1', port: gatewayPort, instance: a.instance, docker: a.docker },
    verifyToken: (token) => verifier.verify(token),
    verifyImageToken: (token) => imageVerifier.verify(token),
    verifyVolumeToken: () => Promise.reject(new DomainError('UNAUTHENTICATED', 'no volumes here')),
    log: createLog({ role: 'node', level: 'silent' }),
  });
  proxy = await openTcpProxy(gatewayPort);
  folder = await mkdtemp(join(tmpdir(), 'obiente-arriving-'));
});
afterAll(async () => {
  if (folder) await rm(folder, { recursive: true, force: true });
  await proxy?.stop();
  await gateway?.stop();
  await second?.remove();
  await a?.remove();
});
afterEach(async () => {
  proxy.resume();
  for (const name of await readdir(folder)) await rm(join(folder, name));
  for (const { Id } of await second.client.listImages()) await second.client.getImage(Id).remove({ force: true });
});

/** An image that node A built for a deployment, with a layer of this size, upon the machine's base or another image. */
async function aBuiltImage(bytes = 3 * MIB, base = a.image): Promise<WantedBuiltImage> {
  const wanted = { deploymentId: randomUUID(), revision: 2, service: 'app' };
  const dockerfile = `FROM ${base}\nCOPY content /content\nCMD ["/bin/sha256sum", "/content"]`;
  const { imageId } = await a.docker.buildImage({
    ...{ dockerfilePath: 'Dockerfile', args: {}, tag: builtImageTag(a.instance, wanted) },
    context: tarOf({ Dockerfile: dockerfile, content: randomBytes(bytes) }),
    labels: ownedLabels({ instance: a.instance, projectId: randomUUID(), deploymentId: wanted.deploymentId }),
    limits: { cpuCores: 1, memoryBytes: 256 * MIB },
    signal: new AbortController().signal,
    onLine: () => undefined,
  });
  return { ...wanted, imageId };
}

type Built = WantedBuiltImage;

/** The way of node B to images; asks through a proxy that can fall silent. Each is another process of that node. */
function nodeB(docker = b, room = { minFreePercent: 0, freePercent: (): number | undefined => undefined }) {
  const fetched: string[] = [];
  const holder = async ({ deploymentId, imageId }: Pick<Built, 'deploymentId' | 'imageId'>): Promise<ImageHolder> => {
    const token = await images.sign({ deploymentId, imageId, from: A, to: B });
    return { nodeId: A, gatewayUrl: `http://127.0.0.1:${proxy.port}`, token };
  };
  const ensure = createBuiltImages({
    ...{ instance: a.instance, docker, registry: null, files: createArrivingFiles(folder, room) },
    control: {
      fetchImageSources: async (of) => {
        fetched.push(of.imageId);
        return { reference: '', holders: [await holder(of)] };
      },
    },
  });
  const get = (wanted: Built, signal = new AbortController().signal) =>
    ensure(wanted, { signal, onProgress: () => undefined });
  return { get, fetched, holder };
}

const listOnB = async () => (await second.client.listImages({ all: true })).map(({ Id }) => Id);

describe('an image that another node built', () => {
  it('comes over once for several replicas, is the same, has its tag and runs', async () => {
    const built = await aBuiltImage();
    const { get, fetched } = nodeB();
    const image = { imageId: built.imageId, digest: built.imageId };
    expect(await Promise.all([get(built), get(built), get(built)])).toEqual([image, image, image]);
    expect(fetched).toEqual([built.imageId]);
    const found = await second.client.getImage(built.imageId).inspect();
    const original = await a.client.getImage(built.imageId).inspect();
    expect(found.RootFS).toEqual(original.RootFS);
    expect(found.Config.Labels).toEqual(original.Config.Labels);
    expect(found.RepoTags).toEqual([builtImageTag(a.instance, built)]);
    const container = await second.client.createContainer({
      Image: built.imageId,
      HostConfig: { NetworkMode: 'none' },
    });
    await container.start();
    expect(await container.wait()).toMatchObject({ StatusCode: 0 });
    await container.remove();
  });

  it('stays what it was when it is there already', async () => {
    const built = await aBuiltImage();
    const { get, fetched } = nodeB();
    await get(built);
    await get({ ...built, revision: 3 });
    expect(fetched).toHaveLength(1);
  });

  it('does not come in part: after a connection that broke, a second try brings the rest', async () => {
    const built = await aBuiltImage(20 * MIB);
    const { get } = nodeB();
    proxy.silenceAfter(5 * MIB);
    await breaksOff(get(built));
    expect(await listOnB()).toEqual([]);
    expect(await get(built)).toMatchObject({ imageId: built.imageId });
  });

  it('is not sent on after a cancel, and takes none of the few places of its node with it', async () => {
    const built = await aBuiltImage(20 * MIB);
    const { get } = nodeB();
    for (let round = 0; round < 6; round += 1) {
      const cancel = new AbortController();
      proxy.silenceAfter(MIB);
      const cancelled = get(built, cancel.signal);
      cancelled.catch(() => undefined);
      await vi.waitUntil(() => proxy.left() === 0, { timeout: 60_000 });
      cancel.abort(new Error('cancelled by its operation'));
      await expect(cancelled).rejects.toThrow('cancelled by its operation');
      proxy.resume();
    }
    expect(await listOnB()).toEqual([]);
    await expect.poll(() => get(built).then(({ imageId }) => imageId, String), { timeout: 60_000 }).toBe(built.imageId);
  });
});

/** Waits until as much was sent as the proxy lets through, and breaks the connection. */
async function breaksOff(getting: Promise<unknown>): Promise<void> {
  getting.catch(() => undefined);
  await vi.waitUntil(() => proxy.left() === 0, { timeout: 60_000 });
  proxy.resume();
  await expect(getting).rejects.toMatchObject({ code: 'NODE_UNAVAILABLE' });
}

/** What comes through the proxy while something is done, bytes. */
async function crossing(task: () => Promise<unknown>): Promise<number> {
  const before = proxy.passed();
  await task();
  return proxy.passed() - before;
}

describe('of an image from another node', () => {
  it('only the layers come that are missing', async () => {
    const base = await aBuiltImage(20 * MIB);
    const upon = await aBuiltImage(MIB, base.imageId);
    expect(await crossing(() => nodeB().get(base))).toBeGreaterThan(20 * MIB);
    const bytes = await crossing(() => nodeB().get(upon));
    console.info(`a layer of ${MIB} bytes upon one of ${20 * MIB}: ${bytes} bytes`);
    expect(bytes).toBeGreaterThan(MIB);
    expect(bytes).toBeLessThan(MIB + 64 * 1024);
    const [here, there] = await Promise.all([a, second].map((at) => at.client.getImage(upon.imageId).inspect()));
    expect(here?.RootFS).toEqual(there?.RootFS);
    const container = await second.client.createContainer({ Image: upon.imageId, HostConfig: { NetworkMode: 'none' } });
    await container.start();
    expect(await container.wait()).toMatchObject({ StatusCode: 0 });
    await container.remove();
    expect(await readdir(folder)).toEqual([]);
  });

  it('what has come does not come again after a connection that broke, also to the next process', async () => {
    const built = await aBuiltImage(20 * MIB);
    proxy.silenceAfter(12 * MIB);
    await breaksOff(nodeB().get(built));
    const [kept = ''] = await readdir(folder);
    const { size, mode } = await stat(join(folder, kept));
    expect(size).toBeGreaterThan(11 * MIB);
    expect(mode & 0o777).toBe(0o600);
    const rest = await crossing(() => nodeB().get(built));
    console.info(`the rest of ${20 * MIB} bytes after ${size}: ${rest} bytes`);
    let whole = 0;
    for await (const { length } of a.docker.exportImage(built, new AbortController().signal)) whole += length;
    expect(rest).toBeLessThan(whole - size + 64 * 1024);
    expect((await listOnB()).length).toBeGreaterThan(0);
    expect(await readdir(folder)).toEqual([]);
  });

  it('all comes anew when what is there is the beginning of something else', async () => {
    const built = await aBuiltImage(5 * MIB);
    proxy.silenceAfter(3 * MIB);
    await breaksOff(nodeB().get(built));
    const [kept = ''] = await readdir(folder);
    const part = await readFile(join(folder, kept));
    part.writeUInt8(part.readUInt8(1_000_000) ^ 1, 1_000_000);
    await writeFile(join(folder, kept), part);
    expect(await crossing(() => nodeB().get(built))).toBeGreaterThan(5 * MIB);
    expect(await readdir(folder)).toEqual([]);
  });

  it('all layers come when one goes between the look and the load', async () => {
    const base = await aBuiltImage(2 * MIB);
    const upon = await aBuiltImage(MIB, base.imageId);
    await nodeB().get(base);
    const forgetful: Docker = {
      ...b,
      loadImage: async (of, from) => {
        if (from.skip) await second.client.getImage(base.imageId).remove({ force: true });
        return await b.loadImage(of, from);
      },
    };
    const bytes = await crossing(() => nodeB(forgetful).get(upon));
    expect(bytes).toBeGreaterThan(4 * MIB);
    expect(await listOnB()).toContain(upon.imageId);
    expect(await readdir(folder)).toEqual([]);
  });

  it('nothing comes, and nothing stays, where the disk has no room', async () => {
    const built = await aBuiltImage(5 * MIB);
    const { get } = nodeB(b, { minFreePercent: 10, freePercent: () => 9 });
    expect(
      await crossing(() => expect(get(built)).rejects.toMatchObject({ code: 'INSUFFICIENT_CAPACITY' })),
    ).toBeLessThan(MIB);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('a node gives away', () => {
  async function ask(built: Pick<Built, 'deploymentId' | 'imageId'>, token: string): Promise<number> {
    let bytes = 0;
    const at = { nodeId: A, gatewayUrl: `http://127.0.0.1:${gatewayPort}`, token };
    for await (const chunk of openImage({ ...at, ...built }, new AbortController().signal)) bytes += chunk.length;
    return bytes;
  }

  const askLayers = (built: Pick<Built, 'deploymentId' | 'imageId'>, token: string) => {
    const at = { nodeId: A, gatewayUrl: `http://127.0.0.1:${gatewayPort}`, token };
    return describeImage({ ...at, ...built }, new AbortController().signal);
  };

  it('only the image that the token names', async () => {
    const [built, other] = await Promise.all([aBuiltImage(), aBuiltImage()]);
    const { token } = await nodeB().holder(built);
    expect(await ask(built, token)).toBeGreaterThan(3 * MIB);
    for (const wrong of [other, { ...built, imageId: other.imageId }, { ...built, deploymentId: other.deploymentId }]) {
      await expect(ask(wrong, token)).rejects.toThrow('the token is for another image');
      await expect(askLayers(wrong, token)).rejects.toThrow('the token is for another image');
    }
    const controls = await controlTokens.sign({ audience: `node:${A}` });
    await expect(ask(built, controls)).rejects.toThrow(/Unauthenticated/);
    await expect(askLayers(built, controls)).rejects.toThrow(/Unauthenticated/);
    const { RootFS } = await a.client.getImage(built.imageId).inspect();
    expect(await askLayers(built, token)).toEqual(RootFS.Layers);
  });

  it('no image that was not built for that deployment, whatever the token names', async () => {
    const [built, other] = await Promise.all([aBuiltImage(), aBuiltImage()]);
    const base = (await a.client.getImage(a.image).inspect()).Id;
    for (const imageId of [base, other.imageId, `sha256:${'0'.repeat(64)}`]) {
      const wanted = { deploymentId: built.deploymentId, imageId };
      const { token } = await nodeB().holder(wanted);
      await expect(ask(wanted, token)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(askLayers(wanted, token)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
  });
});

describe('a daemon', () => {
  const load = async (built: Built, sent: AsyncIterable<Uint8Array>, skip = 0) =>
    await b.loadImage(
      { ...built, tag: builtImageTag(a.instance, built) },
      { chunks: sent, signal: new AbortController().signal, skip },
    );

  it('keeps nothing of another image than was asked for, nor of one that is cut short', async () => {
    const [built, other] = await Promise.all([aBuiltImage(), aBuiltImage()]);
    const signal = new AbortController().signal;
    await expect(load(built, a.docker.exportImage(other, signal))).rejects.toMatchObject({ code: 'IMAGE_UNAVAILABLE' });
    async function* cut(): AsyncGenerator<Uint8Array> {
      let left = 2 * MIB;
      for await (const chunk of a.docker.exportImage(built, signal)) {
        yield chunk.subarray(0, left);
        left -= chunk.length;
        if (left <= 0) return;
      }
    }
    await expect(load(built, cut())).rejects.toMatchObject({ code: 'IMAGE_UNAVAILABLE' });
    expect(await listOnB()).toEqual([]);
  });

  it('is asked for no layer that the archive lacks, but for those that are said to be here', async () => {
    const base = await aBuiltImage();
    const upon = await aBuiltImage(MIB, base.imageId);
    const { length } = await a.docker.describeLayers(base);
    const signal = new AbortController().signal;
    const sent = () => a.docker.exportImage({ ...upon, skip: length }, signal);
    await expect(load(upon, sent())).rejects.toThrow(/it lacks the layer/);
    await load(base, a.docker.exportImage(base, signal));
    await load(upon, sent(), length);
    expect(await listOnB()).toContain(upon.imageId);
  });

  it('keeps nothing of another layer than the image has, with those below it here or not', async () => {
    const base = await aBuiltImage();
    const upon = await aBuiltImage(MIB, base.imageId);
    const { length } = await a.docker.describeLayers(base);
    const { signal } = new AbortController();
    await load(base, a.docker.exportImage(base, signal));
    const before = await listOnB();
    const archive = async (skip: number) =>
      Buffer.concat(await Array.fromAsync(a.docker.exportImage({ ...upon, skip }, signal)));
    const [all, upper] = [await archive(0), await archive(length)];
    const partOfLayer = upper.subarray(upper.length / 2, upper.length / 2 + 64);
    for (const [sent, skip] of [[all, 0] as const, [upper, length] as const]) {
      const at = sent.indexOf(partOfLayer);
      sent.writeUInt8(sent.readUInt8(at) ^ 1, at);
      async function* changed() {
        yield sent;
      }
      await expect(load(upon, changed(), skip)).rejects.toMatchObject({ code: 'IMAGE_UNAVAILABLE' });
      sent.writeUInt8(sent.readUInt8(at) ^ 1, at);
    }
    expect(await listOnB()).toEqual(before);
  });

  it('takes no names from an archive', async () => {
    const built = await aBuiltImage();
    const named = (await a.client.getImage(builtImageTag(a.instance, built)).get()) as AsyncIterable<Uint8Array>;
    await load({ ...built, revision: 7 }, named);
    const { RepoTags } = await second.client.getImage(built.imageId).inspect();
    expect(RepoTags).toEqual([builtImageTag(a.instance, { ...built, revision: 7 })]);
  });
});
