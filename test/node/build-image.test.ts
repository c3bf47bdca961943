import { createHash, randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createBuildImage } from '../../activities/build-image.ts';
import { toContextStream } from '../../adapters/control-client/context-stream.ts';
import { packSite } from '../../adapters/sources/pack-site.ts';
import type { BuildImageInput } from '../../contracts/activities.ts';
import { builtImageTag } from '../../domain/naming.ts';
import { openTestDocker, type TestDocker, tarOf } from '../support/docker.ts';
import { withoutGit } from '../support/without-git.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let test: TestDocker;
beforeAll(async () => {
  test = await openTestDocker();
});
afterAll(() => test?.remove());

/** Builds a context that the control plane sends in small parts; `sent` is what arrives in place of it. */
async function build(files: Record<string, string>, { sent, ...changes }: { sent?: Buffer; target?: string } = {}) {
  const context = await buffer(tarOf(files));
  const contextSha256 = createHash('sha256').update(context).digest('hex');
  const parts = sent ?? context;
  const { buildImage } = createBuildImage({
    instance: test.instance,
    limits: { cpuCores: 1, memoryBytes: 256 * 1024 * 1024 },
    fetchContext: ({ contextSha256 }) => toContextStream(inParts(parts), contextSha256),
    fetchBuildArguments: async () => ({ GREETING: 'hello there' }),
    buildImage: test.docker.buildImage,
    git: withoutGit,
    site: { image: test.image, folder: '/www', pack: packSite },
  });
  const input: BuildImageInput = {
    deploymentId: randomUUID(),
    projectId: randomUUID(),
    ...{ revision: 4, service: 'app' },
    source: { kind: 'dockerfile', contextSha256, dockerfilePath: 'Dockerfile', hasArguments: true, ...changes },
  };
  const activity = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  const run = () => activity.run(buildImage, input) as Promise<{ imageId: string }>;
  return { input, run };
}

async function* inParts(whole: Buffer): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < whole.length; start += 700) yield whole.subarray(start, start + 700);
}

it('builds what the control plane stored, tags it for its revision, and twice gives the same image', async () => {
  const { input, run } = await build({ Dockerfile: `FROM ${test.image}\nENV BUILT=${randomUUID()}` });
  const { imageId } = await run();
  const tag = builtImageTag(test.instance, input);
  expect((await test.client.getImage(tag).inspect()).Id).toBe(imageId);
  expect(await run()).toEqual({ imageId });
});

it('hands over its arguments, and stops at the stage that is asked for', async () => {
  const dockerfile = [
    `FROM ${test.image} AS first`,
    'ARG GREETING',
    'ENV GREETED=$GREETING',
    `FROM ${test.image}`,
    'ENV SECOND=1',
  ].join('\n');
  const { run } = await build({ Dockerfile: dockerfile }, { target: 'first' });
  const { imageId } = await run();
  const { Config } = await test.client.getImage(imageId).inspect();
  expect(Config.Env).toContain('GREETED=hello there');
  expect(Config.Env).not.toContain('SECOND=1');
});

it('does not build what arrives with another content, and may be tried again', async () => {
  const other = await buffer(tarOf({ Dockerfile: `FROM ${test.image}\nENV FORGED=1` }));
  const { input, run } = await build({ Dockerfile: `FROM ${test.image}` }, { sent: other });
  await expect(run()).rejects.toMatchObject({ code: 'NODE_UNAVAILABLE' });
  const tag = builtImageTag(test.instance, input);
  await expect(test.client.getImage(tag).inspect()).rejects.toMatchObject({ statusCode: 404 });
});
