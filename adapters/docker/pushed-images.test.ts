import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { builtImageTag, ownedLabels } from '../../domain/naming.ts';
import type { RegistryCredential } from '../../domain/registry-credential.ts';
import { openTestDocker, type TestDocker, tarOf } from '../../test/support/docker.ts';
import { REGISTRY_USERS, startTestRegistry, type TestRegistry } from '../../test/support/registry.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const ALICE: RegistryCredential = { id: 'of-builds', ...REGISTRY_USERS.alice };
const signal = new AbortController().signal;

let test: TestDocker;
let registry: TestRegistry;

beforeAll(async () => {
  [test, registry] = await Promise.all([openTestDocker(), startTestRegistry({ authenticated: true })]);
});
afterAll(async () => {
  await registry?.remove(test.client);
  await test?.remove();
});

async function aBuiltImage() {
  const of = { deploymentId: randomUUID(), revision: 1, service: 'app' };
  const tag = builtImageTag(test.instance, of);
  const { imageId } = await test.docker.buildImage({
    ...{ dockerfilePath: 'Dockerfile', args: {}, tag, signal },
    context: tarOf({ Dockerfile: `FROM ${test.image}\nENV MARK=${randomUUID()}` }),
    labels: ownedLabels({ instance: test.instance, projectId: randomUUID(), deploymentId: of.deploymentId }),
    limits: { cpuCores: 1, memoryBytes: 256 * 1024 * 1024 },
    onLine: () => undefined,
  });
  const repository = `${registry.host}/builds/${of.deploymentId.replaceAll('-', '')}`;
  const push = (credential: RegistryCredential | null = ALICE) =>
    test.docker.pushImage({ deploymentId: of.deploymentId, imageId, repository, tag: 'r1-app', credential, signal });
  return { deploymentId: of.deploymentId, imageId, tag, repository, push };
}

const namesOf = async (imageId: string) => (await test.client.getImage(imageId).inspect()).RepoTags;

describe('a built image', () => {
  it('is pushed under no name that stays, and pulled back by what stands for exactly it', async () => {
    const { deploymentId, imageId, tag, repository, push } = await aBuiltImage();
    const reference = await push();
    expect(reference).toMatch(new RegExp(`^${repository}@sha256:[0-9a-f]{64}$`));
    expect(await push()).toBe(reference);
    expect(await namesOf(imageId)).toEqual([tag]);
    await test.client.getImage(imageId).remove({ force: true });
    const source = { deploymentId, imageId, reference, tag, credential: ALICE, signal };
    expect(await test.docker.pullBuiltImage(source)).toEqual({ imageId, digest: imageId });
    expect(await namesOf(imageId)).toEqual([tag]);
  });

  it('is not taken for another one, nor for that of another deployment', async () => {
    const [one, other] = [await aBuiltImage(), await aBuiltImage()];
    const reference = await one.push();
    const source = { ...one, reference, credential: ALICE, signal };
    for (const wanted of [{ imageId: other.imageId }, { deploymentId: other.deploymentId }]) {
      await expect(test.docker.pullBuiltImage({ ...source, ...wanted })).rejects.toMatchObject({
        code: 'IMAGE_UNAVAILABLE',
        message: expect.stringContaining('another image than was pushed'),
      });
    }
    expect(await namesOf(other.imageId)).toEqual([other.tag]);
  });

  it("fails with the registry's answer, without the credential, and keeps its own name only", async () => {
    const { imageId, tag, push } = await aBuiltImage();
    const wrong = { ...ALICE, password: 'canary-wrong' };
    for (const credential of [null, wrong]) {
      const failure = (await push(credential).catch((error: unknown) => error)) as Error;
      expect(failure).toMatchObject({ code: 'IMAGE_UNAVAILABLE' });
      expect(String(failure.stack)).not.toContain('canary');
    }
    expect(await namesOf(imageId)).toEqual([tag]);
  });
});
