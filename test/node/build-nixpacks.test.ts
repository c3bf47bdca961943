import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createBuildImage } from '../../activities/build-image.ts';
import { createSlots } from '../../activities/build-slots.ts';
import type { GitPorts } from '../../activities/git-ports.ts';
import type { BuildPorts } from '../../activities/node-ports.ts';
import { findNixpacks } from '../../adapters/nixpacks/find-nixpacks.ts';
import { openNixpacks } from '../../adapters/nixpacks/open-nixpacks.ts';
import { packSite } from '../../adapters/sources/pack-site.ts';
import type { BuildImageInput, BuiltImage } from '../../contracts/node-activities.ts';
import { openTestDocker, type TestDocker, tarOf } from '../support/docker.ts';
import { openTestNixpacks, type TestNixpacks } from '../support/nixpacks.ts';
import { withoutGit } from '../support/without-git.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let test: TestDocker;
let program: TestNixpacks;
let nixpacks: NonNullable<BuildPorts['nixpacks']>;

beforeAll(async () => {
  [test, program] = await Promise.all([openTestDocker(), openTestNixpacks()]);
  const found = await findNixpacks({ path: program.path, searchPath: process.env.PATH ?? '' });
  if (found === null || typeof found === 'string') throw new Error(`no nixpacks: ${found}`);
  nixpacks = await openNixpacks(found);
});
afterAll(async () => {
  await Promise.all([test?.remove(), program?.remove()]);
});

/** An application that a real nixpacks plans too, upon an image of this machine. */
function anApplication(): Record<string, string> {
  const settings = [
    'providers = []',
    `buildImage = "${test.image}"`,
    '[phases.build]',
    'cmds = ["echo built for $GREETING > built.txt"]',
    '[start]',
    'cmd = "cat built.txt"',
  ];
  return { 'nixpacks.toml': settings.join('\n'), 'a.txt': randomUUID() };
}

async function build(files: Record<string, string>, of: Partial<BuildPorts> & { readonly fromGit?: true } = {}) {
  const { fromGit, ...changes } = of;
  const printed: string[] = [];
  const git: GitPorts = {
    ...withoutGit,
    withCommit: async (_of, _options, use) =>
      await use({
        tree: { files: Object.keys(files), contents: {} },
        pack: () => tarOf(files),
        read: async () => null,
        digest: async () => ({}),
      }),
  };
  const disk = { minFreeBytes: 1, maxWrittenBytes: Number.MAX_SAFE_INTEGER, freeBytes: test.docker.freeBytes };
  const { buildImage } = createBuildImage({
    instance: test.instance,
    limits: { cpuCores: 1, memoryBytes: 256 * 1024 * 1024, timeoutMs: 60_000, disk },
    slots: createSlots(1),
    fetchEnvironment: async () => ({}),
    reportBuild: async ({ lines }) => printed.push(...lines.map(({ text }) => text.trimEnd())) > 0,
    fetchContext: () => tarOf(files),
    fetchBuildArguments: async () => ({ GREETING: 'hello-there' }),
    buildImage: test.docker.buildImage,
    git,
    nixpacks,
    site: { image: test.image, folder: '/www', pack: packSite },
    ...changes,
  });
  const repository = { url: 'https://git.example.test/a', ref: 'main', subdirectory: '', submodules: false };
  const input: BuildImageInput = {
    ...{ deploymentId: randomUUID(), projectId: randomUUID(), revision: 1, service: 'app' },
    source: fromGit
      ? { kind: 'git', ...repository, builder: 'nixpacks', commit: 'c'.repeat(40), hasArguments: true }
      : { kind: 'nixpacks', contextSha256: 'a'.repeat(64), hasArguments: true },
  };
  const activity = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  const built = (await activity.run(buildImage, input)) as BuiltImage;
  return { ...built, printed };
}

/** What it proves is the way of a source to an image; the base image of nixpacks, with Nix in it, is not tried. */
describe('a build by nixpacks upon an image of this machine in place of its own base image', () => {
  it.each<[string, { fromGit?: true }]>([
    ['an uploaded folder', {}],
    ['a commit', { fromGit: true }],
  ])('makes an image of %s, with its arguments, and says who built it and why', async (_, from) => {
    const { imageId, detected, printed } = await build(anApplication(), from);
    expect(detected).toMatch(/^built by nixpacks \d+\.\d+\.\d+: an application with settings for nixpacks \(nixpacks/);
    expect(printed).toContain(detected);
    expect(printed.join('\n')).not.toContain('hello-there');
    const { Config } = await test.client.getImage(imageId).inspect();
    expect(Config).toMatchObject({ WorkingDir: expect.stringMatching(/^\/app\/?$/), Cmd: ['cat built.txt'] });
    const look = ['/bin/sh', '-c', 'cat /app/built.txt /app/a.txt; ls -A /app'];
    const container = await test.client.createContainer({ Image: imageId, Entrypoint: look });
    await container.start();
    await container.wait();
    const said = (await container.logs({ stdout: true, stderr: true })).toString();
    await container.remove();
    expect(said).toContain('built for hello-there');
    expect(said).toContain('nixpacks.toml');
    expect(said).not.toContain('build.sh');
  });

  it('is refused by a node that has none any more', async () => {
    await expect(build(anApplication(), { nixpacks: null })).rejects.toMatchObject({
      code: 'SOURCE_REFUSED',
    });
  });

  it('fails with what nixpacks says', async () => {
    const failure = await build({ 'README.md': 'nothing' }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'BUILD_FAILED', message: expect.stringContaining('unable to generate') });
  });
});
