import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ImageHolder, WantedBuiltImage } from '../../activities/built-images.ts';
import { createDocker, type Docker } from '../../adapters/docker/docker.ts';
import { createLog } from '../../adapters/logging/log.ts';
import { openImage } from '../../adapters/node-client/open-export.ts';
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
});
afterAll(async () => {
  await proxy?.stop();
  await gateway?.stop();
  await second?.remove();
  await a?.remove();
});
afterEach(async () => {
  proxy.resume();
  for (const { Id } of await second.client.listImages()) await second.client.getImage(Id).remove({ force: true });
});

/** An image that node A built for a deployment, with a layer of this size. */
async function aBuiltImage(bytes = 3 * MIB): Promise<WantedBuiltImage> {
  const wanted = { deploymentId: randomUUID(), revision: 2, service: 'app' };
  const dockerfile = `FROM ${a.image}\nCOPY content /content\nCMD ["/bin/sha256sum", "/content"]`;
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

/** The way of node B to images; asks through a proxy that can fall silent. */
function nodeB() {
  const fetched: string[] = [];
  const holder = async ({ deploymentId, imageId }: Pick<Built, 'deploymentId' | 'imageId'>): Promise<ImageHolder> => {
    const token = await images.sign({ deploymentId, imageId, from: A, to: B });
    return { nodeId: A, gatewayUrl: `http://127.0.0.1:${proxy.port}`, token };
  };
  const ensure = createBuiltImages({
    ...{ instance: a.instance, docker: b, registry: null },
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

  it('does not come in part: after a connection that broke, a second try brings all of it', async () => {
    const built = await aBuiltImage(20 * MIB);
    const { get } = nodeB();
    proxy.silenceAfter(5 * MIB);
    const broken = get(built);
    broken.catch(() => undefined);
    await vi.waitUntil(() => proxy.left() === 0, { timeout: 60_000 });
    proxy.resume();
    await expect(broken).rejects.toMatchObject({ code: 'NODE_UNAVAILABLE' });
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

describe('a node gives away', () => {
  async function ask(built: Pick<Built, 'deploymentId' | 'imageId'>, token: string): Promise<number> {
    let bytes = 0;
    const at = { nodeId: A, gatewayUrl: `http://127.0.0.1:${gatewayPort}`, token };
    for await (const chunk of openImage({ ...at, ...built }, new AbortController().signal)) bytes += chunk.length;
    return bytes;
  }

  it('only the image that the token names', async () => {
    const [built, other] = await Promise.all([aBuiltImage(), aBuiltImage()]);
    const { token } = await nodeB().holder(built);
    expect(await ask(built, token)).toBeGreaterThan(3 * MIB);
    for (const wrong of [other, { ...built, imageId: other.imageId }, { ...built, deploymentId: other.deploymentId }]) {
      await expect(ask(wrong, token)).rejects.toThrow('the token is for another image');
    }
    const controls = await controlTokens.sign({ audience: `node:${A}` });
    await expect(ask(built, controls)).rejects.toThrow(/Unauthenticated/);
  });

  it('no image that was not built for that deployment, whatever the token names', async () => {
    const [built, other] = await Promise.all([aBuiltImage(), aBuiltImage()]);
    const base = (await a.client.getImage(a.image).inspect()).Id;
    for (const imageId of [base, other.imageId, `sha256:${'0'.repeat(64)}`]) {
      const wanted = { deploymentId: built.deploymentId, imageId };
      await expect(ask(wanted, (await nodeB().holder(wanted)).token)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    }
  });
});

describe('a daemon', () => {
  const load = async (built: Built, sent: AsyncIterable<Uint8Array>) =>
    await b.loadImage(
      { ...built, tag: builtImageTag(a.instance, built) },
      { chunks: sent, signal: new AbortController().signal },
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

  it('takes no names from an archive', async () => {
    const built = await aBuiltImage();
    const named = (await a.client.getImage(builtImageTag(a.instance, built)).get()) as AsyncIterable<Uint8Array>;
    await load({ ...built, revision: 7 }, named);
    const { RepoTags } = await second.client.getImage(built.imageId).inspect();
    expect(RepoTags).toEqual([builtImageTag(a.instance, { ...built, revision: 7 })]);
  });
});
