import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { RegistryCredential } from '../../domain/registry-credential.ts';
import { openTestDocker, type TestDocker, tarOf } from '../../test/support/docker.ts';
import { REGISTRY_USERS, removeImagesOf, startTestRegistry, type TestRegistry } from '../../test/support/registry.ts';
import { openTcpProxy } from '../../test/support/tcp-proxy.ts';
import type { EnsureImageOptions } from './images.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const SILENCE_MS = 3_000;

/** Tenants: what each has stored for the registry that wants to know who pulls. */
const ALICE: RegistryCredential = { id: randomUUID(), ...REGISTRY_USERS.alice };
const BOB: RegistryCredential = { id: randomUUID(), ...REGISTRY_USERS.bob };
const STRANGER: RegistryCredential = { id: randomUUID(), username: 'alice', password: 'canary-wrong-password' };

let test: TestDocker;
let open: TestRegistry;
let closed: TestRegistry;

beforeAll(async () => {
  test = await openTestDocker({ registrySilenceMs: SILENCE_MS });
  open = await startTestRegistry({ authenticated: false });
  closed = await startTestRegistry({ authenticated: true });
});
afterAll(async () => {
  await open?.remove(test.client);
  await closed?.remove(test.client);
  await test?.remove();
});
afterEach(async () => {
  for (const { host } of [open, closed]) await removeImagesOf(test.client, host);
});

function reference(name: string, digest: string | null = null, pullPolicy?: 'always' | 'if-not-present') {
  return { kind: 'reference', reference: name, digest, ...(pullPolicy ? { pullPolicy } : {}) } as const;
}

/** For a tenant, and how often its credential was asked for. */
function as(credential: RegistryCredential | null, signal?: AbortSignal) {
  const fetchCredential = vi.fn(async () => credential);
  const options: EnsureImageOptions = { deploymentId: randomUUID(), fetchCredential, ...(signal ? { signal } : {}) };
  return Object.assign(options, { fetchCredential });
}

const anApp = (registry: TestRegistry, tag = '1.0') => `${registry.host}/acme/app-${randomUUID().slice(0, 8)}:${tag}`;

/** Pushes an image under a reference; answers with its digest. */
async function push(registry: TestRegistry, name: string, mark: string = randomUUID()): Promise<string> {
  return await registry.push(test.client, test.image, { name: name.slice(registry.host.length + 1), mark });
}

async function whileDown<Answer>(registry: TestRegistry, work: () => Promise<Answer>): Promise<Answer> {
  await registry.stop();
  try {
    return await work();
  } finally {
    await registry.start();
  }
}

async function failureOf(work: Promise<unknown>): Promise<{ code: string; message: string; hint: string }> {
  try {
    await work;
  } catch (error) {
    const { code, message, hint } = error as { code: string; message: string; hint: string };
    return { code, message, hint };
  }
  throw new Error('the image was given');
}

async function tagsOf(imageId: string): Promise<string[]> {
  const { RepoTags: names } = await test.client.getImage(imageId).inspect();
  return (names ?? []).filter((name) => !name.includes('@'));
}

describe('an image from a registry that gives it to everybody', () => {
  it('is pulled once, and used by every tenant without asking again', async () => {
    const app = anApp(open);
    const digest = await push(open, app);
    const first = await test.docker.ensureImage(reference(app), as(null));
    expect(first).toMatchObject({ digest });
    expect(await tagsOf(first.imageId)).toEqual([app]);
    const other = as(BOB);
    expect(await whileDown(open, () => test.docker.ensureImage(reference(app), other))).toEqual(first);
    const pinned = reference(app.replace('1.0', `1.0@${digest}`));
    expect(await whileDown(open, () => test.docker.ensureImage(pinned, other))).toEqual(first);
    expect(other.fetchCredential).not.toHaveBeenCalled();
  });

  it.each([
    ['latest', 'new'],
    ['no tag', 'new'],
    ['another tag', 'old'],
    ['another tag, always', 'new'],
    ['latest, if not present', 'old'],
  ])('whose tag has moved: %s is the %s one', async (which, expected) => {
    const tag = which.startsWith('another') ? '1.0' : 'latest';
    const app = anApp(open, tag);
    const asked = which === 'no tag' ? app.replace(':latest', '') : app;
    const policy = which.endsWith('always') ? 'always' : which.endsWith('not present') ? 'if-not-present' : undefined;
    const old = await push(open, app);
    const before = await test.docker.ensureImage(reference(asked, null, policy), as(null));
    const moved = await push(open, app);
    const after = await test.docker.ensureImage(reference(asked, null, policy), as(null));
    expect([before.digest, after.digest]).toEqual([old, expected === 'new' ? moved : old]);
    const pinned = await test.docker.ensureImage(reference(asked, old, policy), as(null));
    expect(pinned).toEqual(before);
  });

  it('is exactly the one that the revision is pinned to, on a node that has another under the tag', async () => {
    const app = anApp(open, 'latest');
    const [old, moved] = [await push(open, app), await push(open, app)];
    expect(await test.docker.ensureImage(reference(app), as(null))).toMatchObject({ digest: moved });
    expect(await test.docker.ensureImage(reference(app, old), as(null))).toMatchObject({ digest: old });
  });

  it.each([
    ['a tag that it does not have', 'nothing', /manifest unknown|not found/],
    ['an architecture that it does not have', 'foreign', /no match\w* .*manifest|no matching manifest/],
  ])('is unavailable for %s, with its answer', async (_, tag, answer) => {
    const app = anApp(open);
    await push(open, app);
    const repository = app.slice(open.host.length + 1).replace(':1.0', '');
    await open.putList({ repository, from: '1.0', to: 'foreign', architecture: 's390x' });
    const failure = await failureOf(test.docker.ensureImage(reference(app.replace('1.0', tag)), as(null)));
    expect(failure).toMatchObject({ code: 'IMAGE_UNAVAILABLE', message: expect.stringMatching(answer) });
  });

  it('is unavailable while its registry is down and has to be asked, with the reason', async () => {
    const app = anApp(open, 'latest');
    await push(open, app);
    await test.docker.ensureImage(reference(app), as(null));
    const failure = await whileDown(open, () => failureOf(test.docker.ensureImage(reference(app), as(null))));
    expect(failure).toMatchObject({
      code: 'IMAGE_UNAVAILABLE',
      message: expect.stringContaining('connection refused'),
    });
  });
});

describe('an image that was made on the node', () => {
  it.each([undefined, 'always', 'if-not-present'] as const)('is used as it is, with the policy %s', async (policy) => {
    const app = anApp(open, 'latest');
    const [repo = ''] = app.split(/:(?=latest)/);
    await test.client.getImage(test.image).tag({ repo, tag: 'latest' });
    const made = await test.docker.ensureImage(reference(app, null, policy), as(null));
    expect(made.digest).toBe(made.imageId);
    const whenDown = await whileDown(open, () => test.docker.ensureImage(reference(app, null, policy), as(ALICE)));
    expect(whenDown).toEqual(made);
    expect(await test.docker.ensureImage(reference(app, made.digest), as(null))).toEqual(made);
    await test.client.getImage(app).remove();
  });

  it('gives way to that of the registry with the policy always, and only then', async () => {
    const app = anApp(open, 'latest');
    const digest = await push(open, app);
    const [repo = ''] = app.split(/:(?=latest)/);
    await test.client.getImage(test.image).tag({ repo, tag: 'latest' });
    const made = await test.docker.ensureImage(reference(app), as(null));
    expect(made.digest).toBe(made.imageId);
    expect(await test.docker.ensureImage(reference(app, null, 'always'), as(null))).toMatchObject({ digest });
  });
});

describe('an image from a registry that wants to know who pulls', () => {
  it('is pulled with the credential, and kept under no name that can be guessed', async () => {
    const app = anApp(closed);
    const digest = await push(closed, app);
    const progress: string[] = [];
    const options = { ...as(ALICE), onProgress: (status: string) => progress.push(status) };
    const image = await test.docker.ensureImage(reference(app), options);
    expect(image.digest).toBe(digest);
    expect(await tagsOf(image.imageId)).toEqual([]);
    expect(progress).not.toEqual([]);
    const byOthers = await test.client.buildImage(tarOf({ Dockerfile: `FROM ${app}` }), {});
    const built: string[] = [];
    for await (const piece of byOthers) built.push(String(piece));
    expect(built.join('')).toContain('"error"');
    expect(built.join('')).not.toContain('Successfully built');
  });

  it.each([
    ['no credential', null, 'no basic auth credentials', 'obiente registries add 127.0.0.1:'],
    ['a wrong one', STRANGER, 'unauthorized', 'Check the name, and the credential that is stored for 127.0.0.1:'],
  ])('is unavailable with %s, and says so without it', async (_, credential, answer, hint) => {
    const app = anApp(closed);
    await push(closed, app);
    const failure = await failureOf(test.docker.ensureImage(reference(app), as(credential)));
    expect(failure.code).toBe('IMAGE_UNAVAILABLE');
    expect(failure.message).toContain(answer);
    expect(failure.hint).toContain(hint);
    expect(JSON.stringify(failure)).not.toContain('canary');
  });

  it.each([
    ['by its tag', (app: string) => reference(app)],
    ['by its tag, if not present', (app: string) => reference(app, null, 'if-not-present')],
    ['by its tag, always', (app: string) => reference(app, null, 'always')],
    ['by its digest', (app: string, { digest }: Named) => reference(app.replace(':1.0', `@${digest}`))],
    ['by tag and digest', (app: string, { digest }: Named) => reference(`${app}@${digest}`)],
    ['by its id as a digest', (app: string, { imageId }: Named) => reference(app.replace(':1.0', `@${imageId}`))],
    ['by its id under another name', (_: string, { imageId }: Named) => reference(`own/app@${imageId}`)],
    ['by its digest at another registry', (_: string, { digest }: Named) => reference(`${open.host}/x@${digest}`)],
  ])('that one tenant has pulled is not given to another without right: %s', async (_, wanted) => {
    const app = anApp(closed);
    await push(closed, app);
    const pulled = await test.docker.ensureImage(reference(app), as(ALICE));
    for (const credential of [null, STRANGER]) {
      const failure = await failureOf(test.docker.ensureImage(wanted(app, pulled), as(credential)));
      expect(failure.code).toBe('IMAGE_UNAVAILABLE');
    }
  });

  it('that came to the node by other means is not given to a tenant without right either', async () => {
    const app = anApp(closed);
    const digest = await push(closed, app);
    const [fromImage = '', tag = ''] = app.split(/:(?=1\.0)/);
    const authconfig = { ...REGISTRY_USERS.alice, serveraddress: closed.host };
    const pulling: AsyncIterable<unknown> = await test.client.createImage(authconfig, { fromImage, tag });
    for await (const _ of pulling);
    // A daemon with containerd's store cannot tell this tag from one that was made on the node.
    const { DriverStatus: store } = await test.client.info();
    const isTold = !JSON.stringify(store).includes('io.containerd.');
    for (const wanted of [...(isTold ? [reference(app)] : []), reference(`${fromImage}@${digest}`)]) {
      const failure = await failureOf(test.docker.ensureImage(wanted, as(STRANGER)));
      expect(failure.code).toBe('IMAGE_UNAVAILABLE');
      expect(await test.docker.ensureImage(wanted, as(BOB))).toMatchObject({ digest });
    }
  });

  it('that one tenant has pulled is given to another who may pull it, which the registry is asked', async () => {
    const app = anApp(closed);
    await push(closed, app);
    const pulled = await test.docker.ensureImage(reference(app), as(ALICE));
    const whileAway = await whileDown(closed, () => failureOf(test.docker.ensureImage(reference(app), as(BOB))));
    expect(whileAway).toMatchObject({ code: 'IMAGE_UNAVAILABLE', message: expect.stringContaining('refused') });
    expect(await test.docker.ensureImage(reference(app), as(BOB))).toEqual(pulled);
    expect(await whileDown(closed, () => test.docker.ensureImage(reference(app), as(BOB)))).toEqual(pulled);
  });

  it('is there for the tenant who has pulled it, until its credential is another', async () => {
    const app = anApp(closed);
    const digest = await push(closed, app);
    const pulled = await test.docker.ensureImage(reference(app), as(ALICE));
    await closed.stop();
    for (const wanted of [reference(app), reference(app.replace(':1.0', `@${digest}`))]) {
      expect(await test.docker.ensureImage(wanted, as(ALICE))).toEqual(pulled);
      const replaced = { ...ALICE, id: randomUUID() };
      expect(await failureOf(test.docker.ensureImage(wanted, as(replaced)))).toMatchObject({
        code: 'IMAGE_UNAVAILABLE',
      });
    }
    await closed.start();
  });

  it('follows its tag like any other: new for latest, pinned for what runs', async () => {
    const app = anApp(closed, 'latest');
    const old = await push(closed, app);
    const before = await test.docker.ensureImage(reference(app), as(ALICE));
    const moved = await push(closed, app);
    expect(await test.docker.ensureImage(reference(app), as(ALICE))).toMatchObject({ digest: moved });
    expect(await test.docker.ensureImage(reference(app, old), as(ALICE))).toEqual(before);
    expect(before.digest).toBe(old);
  });

  it('is pulled for the other replicas with the credential, exactly as pinned', async () => {
    const app = anApp(closed);
    const [old] = [await push(closed, app), await push(closed, app)];
    expect(await test.docker.ensureImage(reference(app, old), as(ALICE))).toMatchObject({ digest: old });
    await removeImagesOf(test.client, closed.host);
    expect(await failureOf(test.docker.ensureImage(reference(app, old), as(null)))).toMatchObject({
      code: 'IMAGE_UNAVAILABLE',
    });
  });

  it('is not asked for when the credential cannot be had', async () => {
    const app = anApp(closed);
    const fetchCredential = () => Promise.reject(new Error('the control plane is away'));
    const options = { deploymentId: randomUUID(), fetchCredential };
    await expect(test.docker.ensureImage(reference(app), options)).rejects.toThrow('the control plane is away');
  });
});

interface Named {
  readonly imageId: string;
  readonly digest: string;
}

describe('a registry that hangs', () => {
  it.each([
    ['is given up after its silence', null, 0],
    ['is given up when it falls silent in the middle of a download', null, 200_000],
    ['is given up after its silence, asked with a credential', ALICE, 0],
  ])('%s', async (_, credential, bytes) => {
    const registry = credential ? closed : open;
    const proxy = await openTcpProxy(registry.port);
    const host = `127.0.0.1:${proxy.port}`;
    const app = anApp(registry);
    await push(registry, app);
    // Its layers are on the daemon, which would have nothing to download.
    const incompressible = await pushBig(registry, app);
    proxy.silenceAfter(bytes);
    const throughProxy = reference(incompressible.replace(registry.host, host));
    const failure = await failureOf(test.docker.ensureImage(throughProxy, as(credential)));
    const message = expect.stringContaining(`nothing was received for ${SILENCE_MS / 1000} s`);
    expect(failure).toMatchObject({ code: 'IMAGE_UNAVAILABLE', message });
    proxy.resume();
    expect(await test.docker.ensureImage(throughProxy, as(credential))).toMatchObject({
      digest: expect.stringMatching(/^sha256:/),
    });
    await removeImagesOf(test.client, host);
    await proxy.stop();
  });

  it('is left at once when the attempt is cancelled', async () => {
    const proxy = await openTcpProxy(open.port);
    proxy.silenceAfter(0);
    const app = anApp(open).replace(open.host, `127.0.0.1:${proxy.port}`);
    const cancel = new AbortController();
    const pulling = test.docker.ensureImage(reference(app), as(null, cancel.signal));
    cancel.abort(new Error('cancelled by the test'));
    await expect(pulling).rejects.toThrow('cancelled by the test');
    await proxy.stop();
  });
});

/** Pushes an image with a layer of a megabyte that the daemon has forgotten afterwards. */
async function pushBig(registry: TestRegistry, app: string): Promise<string> {
  const name = `${app.slice(registry.host.length + 1)}-big`;
  await registry.push(test.client, test.image, { name, mark: randomUUID(), bytes: 1024 * 1024 });
  return `${registry.host}/${name}`;
}

describe('a registry that repeats what it was sent', () => {
  it('finds it blanked in every error', async () => {
    const server = createServer((request, response) => {
      const { authorization } = request.headers;
      if (!authorization) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="echo"' }).end();
        return;
      }
      const message = `${authorization} is ${Buffer.from(authorization.slice('Basic '.length), 'base64')}`;
      response.writeHead(403, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ errors: [{ code: 'DENIED', message, detail: message }] }));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    for (const wanted of [reference(`${host}/app:1`), reference(`${host}/app:1`, `sha256:${'0a'.repeat(32)}`)]) {
      const failure = await failureOf(test.docker.ensureImage(wanted, as(ALICE)));
      expect(failure.code).toBe('IMAGE_UNAVAILABLE');
      expect(failure.message).toMatch(/\*\*\*|403 Forbidden/);
      expect(JSON.stringify(failure)).not.toContain('canary');
      const basic = Buffer.from(`${ALICE.username}:${ALICE.password}`).toString('base64');
      expect(JSON.stringify(failure)).not.toContain(basic);
    }
    server.closeAllConnections();
    server.close();
  });
});
