import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { builtImageTag, ownedLabels } from '../../domain/naming.ts';
import { openTestDocker, type TestDocker, tarOf } from '../../test/support/docker.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let test: TestDocker;
beforeAll(async () => {
  test = await openTestDocker();
});
afterAll(() => test?.remove());

function build(files: Record<string, string>, options: { deploymentId?: string; signal?: AbortSignal } = {}) {
  const deploymentId = options.deploymentId ?? randomUUID();
  const lines: string[] = [];
  const built = test.docker.buildImage({
    context: tarOf(files),
    dockerfilePath: 'Dockerfile',
    args: {},
    tag: builtImageTag(test.instance, { deploymentId, revision: 1, service: 'app' }),
    labels: ownedLabels({ instance: test.instance, projectId: randomUUID(), deploymentId }),
    limits: { cpuCores: 1, memoryBytes: 512 * 1024 * 1024 },
    signal: options.signal ?? new AbortController().signal,
    onLine: (line) => lines.push(line),
  });
  return { deploymentId, built, lines };
}

/** Images on top of this corner's own, so that other people's builds do not count. */
async function layersOnTop(): Promise<string[]> {
  const { Id: base } = await test.client.getImage(test.image).inspect();
  return (await test.client.listImages({ all: true })).filter((image) => image.ParentId === base).map(({ Id }) => Id);
}

describe('an image', () => {
  it('that is there is used without asking a registry, its id standing for its digest', async () => {
    const wanted = { kind: 'reference', reference: test.image, digest: null } as const;
    const present = await test.docker.ensureImage(wanted, { deploymentId: randomUUID() });
    expect(present).toEqual({
      imageId: (await test.client.getImage(test.image).inspect()).Id,
      digest: present.imageId,
    });
    const pinned = { ...wanted, digest: present.digest };
    expect(await test.docker.ensureImage(pinned, { deploymentId: randomUUID() })).toEqual(present);
  });

  it.each([
    ['an unreachable registry', '127.0.0.1:9/nothing/here:1'],
    ['a path in place of a name', '../containers/json'],
  ])('of %s is unavailable, with the reason', async (_, reference) => {
    const wanted = { kind: 'reference', reference, digest: null } as const;
    await expect(test.docker.ensureImage(wanted, { deploymentId: randomUUID() })).rejects.toMatchObject({
      code: 'IMAGE_UNAVAILABLE',
      message: expect.stringContaining('cannot get image'),
    });
  });
});

describe('a build', () => {
  it('makes an image that its own deployment may run, and nobody else by its name', async () => {
    const { deploymentId, built, lines } = build({
      Dockerfile: `FROM ${test.image}\nRUN ["/bin/sh","-c","echo hello"]`,
    });
    const { imageId } = await built;
    expect(lines).toContain('hello');
    const reference = builtImageTag(test.instance, { deploymentId, revision: 1, service: 'app' });
    const byName = { kind: 'reference', reference, digest: null } as const;
    expect(await test.docker.ensureImage(byName, { deploymentId })).toMatchObject({ imageId });
    await expect(test.docker.ensureImage(byName, { deploymentId: randomUUID() })).rejects.toMatchObject({
      code: 'IMAGE_UNAVAILABLE',
      message: expect.stringContaining('no such image'),
    });
  });

  it('fails with the instruction that failed, tells all lines up to it, and leaves no layers', async () => {
    const before = await layersOnTop();
    const dockerfile = `FROM ${test.image}\nCOPY a /a\nRUN ["/bin/sh","-c","for i in $(seq 1 30); do echo line $i; done; exit 3"]`;
    const { built, lines } = build({ Dockerfile: dockerfile, a: 'a' });
    await expect(built).rejects.toMatchObject({ code: 'BUILD_FAILED', message: expect.stringContaining('code: 3') });
    expect(lines).toEqual(expect.arrayContaining(['line 1', 'line 30']));
    expect(await layersOnTop()).toEqual(before);
    await test.client.getImage(test.image).inspect();
  });

  it.each([
    ['has an unknown instruction', { Dockerfile: 'NONSENSE' }],
    ['is missing', { other: 'x' }],
    ['is empty', { Dockerfile: '' }],
    ['copies what is not there', { Dockerfile: 'FROM scratch\nCOPY nothing /' }],
  ])('fails when its Dockerfile %s', async (_, files) => {
    await expect(build(files as Record<string, string>).built).rejects.toMatchObject({ code: 'BUILD_FAILED' });
  });

  it('stops when it is cancelled', async () => {
    const cancel = new AbortController();
    const { built, lines } = build(
      { Dockerfile: `FROM ${test.image}\nRUN ["/bin/sh","-c","echo ${randomUUID()}; echo begun; sleep 600"]` },
      { signal: cancel.signal },
    );
    built.catch(() => undefined);
    await expect.poll(() => lines, { timeout: 20_000 }).toContain('begun');
    cancel.abort(new Error('cancelled by the test'));
    await expect(built).rejects.toThrow('cancelled by the test');
  });

  it('is removed with everything that carries its labels', async () => {
    const { deploymentId, built } = build({ Dockerfile: `FROM ${test.image}\nENV X=${randomUUID()}` });
    const { imageId } = await built;
    await test.docker.removeImages({
      'cloud.obiente.deployment_id': deploymentId,
      'cloud.obiente.instance': test.instance,
    });
    await expect(test.client.getImage(imageId).inspect()).rejects.toMatchObject({ statusCode: 404 });
  });
});
