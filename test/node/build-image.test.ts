import { createHash, randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createBuildImage } from '../../activities/build-image.ts';
import type { BuildLimits } from '../../activities/build-limits.ts';
import type { BuildReport } from '../../activities/build-reporter.ts';
import { createSlots, type Slots } from '../../activities/build-slots.ts';
import type { BuildPorts } from '../../activities/node-ports.ts';
import { toContextStream } from '../../adapters/control-client/context-stream.ts';
import { packSite } from '../../adapters/sources/pack-site.ts';
import type { BuildImageInput, BuiltImage } from '../../contracts/node-activities.ts';
import { DomainError } from '../../domain/errors.ts';
import { builtImageTag } from '../../domain/naming.ts';
import { openTestDocker, type TestDocker, tarOf } from '../support/docker.ts';
import { seeProcesses } from '../support/processes.ts';
import { withoutGit } from '../support/without-git.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let test: TestDocker;
beforeAll(async () => {
  test = await openTestDocker();
});
afterAll(() => test?.remove());

/** What differs from a build that succeeds. */
interface Circumstances {
  /** What arrives in place of the context. */
  readonly sent?: Buffer;
  readonly target?: string;
  readonly variables?: Record<string, string>;
  readonly timeoutMs?: number;
  readonly disk?: Partial<BuildLimits['disk']>;
  readonly slots?: Slots;
  readonly publish?: NonNullable<BuildPorts['publish']>;
  readonly onReport?: (report: BuildReport) => void;
}

const PLENTY = { minFreeBytes: 1, maxWrittenBytes: Number.MAX_SAFE_INTEGER };

/** Builds a context that the control plane sends in small parts. */
async function build(files: Record<string, string>, changes: Circumstances = {}) {
  const context = await buffer(tarOf(files));
  const contextSha256 = createHash('sha256').update(context).digest('hex');
  const parts = changes.sent ?? context;
  const reports: BuildReport[] = [];
  const disk = { ...PLENTY, freeBytes: test.docker.freeBytes, ...changes.disk };
  const { buildImage } = createBuildImage({
    instance: test.instance,
    limits: { cpuCores: 1, memoryBytes: 256 * 1024 * 1024, timeoutMs: changes.timeoutMs ?? 60_000, disk },
    slots: changes.slots ?? createSlots(1),
    fetchEnvironment: async () => changes.variables ?? {},
    reportBuild: async (report) => {
      if (changes.onReport) changes.onReport(report);
      else reports.push(report);
      return true;
    },
    fetchContext: ({ contextSha256 }) => toContextStream(inParts(parts), contextSha256),
    fetchBuildArguments: async () => ({ GREETING: 'hello there' }),
    buildImage: test.docker.buildImage,
    ...(changes.publish ? { publish: changes.publish } : {}),
    git: withoutGit,
    nixpacks: null,
    site: { image: test.image, folder: '/www', pack: packSite },
  });
  const input: BuildImageInput = {
    deploymentId: randomUUID(),
    projectId: randomUUID(),
    ...{ revision: 4, service: 'app' },
    source: {
      ...{ kind: 'dockerfile', contextSha256, dockerfilePath: 'Dockerfile', hasArguments: true },
      ...(changes.target === undefined ? {} : { target: changes.target }),
    },
  };
  const run = () => {
    const activity = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
    const built = activity.run(buildImage, input) as Promise<BuiltImage>;
    return Object.assign(built, { cancel: () => activity.cancel() });
  };
  const printed = () => reports.flatMap(({ lines }) => lines.map(({ text }) => text));
  return { input, run, reports, printed };
}

/** Command lines of all processes of this machine, those in containers among them. */
function processes(): string[] {
  return seeProcesses().map(({ commandLine }) => commandLine);
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

it('tells what it prints line by line, with numbers, clean and without the values of variables', async () => {
  const script = String.raw`printf '10 %%\r100 %%\n\033[31mred\033[0m\n'; echo "token=$0"; printf 'open end'`;
  const secret = `canary-${randomUUID()}`;
  const run = JSON.stringify(['/bin/sh', '-c', script, secret]);
  const subject = await build({ Dockerfile: `FROM ${test.image}\nRUN ${run}` }, { variables: { TOKEN: secret } });
  await subject.run();
  expect(subject.printed()).toEqual(expect.arrayContaining(['100 %', 'red', 'token=***', 'open end']));
  expect(JSON.stringify(subject.reports)).not.toContain(secret);
  const numbers = subject.reports.map(({ firstNumber, lines }) => firstNumber + lines.length);
  expect(subject.reports.map(({ firstNumber }) => firstNumber)).toEqual([1, ...numbers.slice(0, -1)]);
  expect(subject.reports.at(-1)).toMatchObject({ phase: 'building', complete: true, service: 'app', revision: 4 });
});

it('says where its image was pushed to, and that of one that cannot be pushed other nodes get from this one', async () => {
  const reference = `registry.test/builds/x@sha256:${'a'.repeat(64)}`;
  const pushed: unknown[] = [];
  const publish = async (of: object) => {
    pushed.push(of);
    return reference;
  };
  const subject = await build({ Dockerfile: `FROM ${test.image}` }, { publish });
  const { imageId } = await subject.run();
  expect(await subject.run()).toEqual({ imageId, reference });
  expect(pushed[0]).toMatchObject({ deploymentId: subject.input.deploymentId, revision: 4, service: 'app', imageId });
  const away = async () => {
    throw new DomainError('IMAGE_UNAVAILABLE', 'the registry is away');
  };
  const unpushed = await build({ Dockerfile: `FROM ${test.image}` }, { publish: away });
  expect(await unpushed.run()).not.toHaveProperty('reference');
  expect(unpushed.printed().at(-1)).toContain('the image is not pushed (the registry is away)');
});

it('fails with its last lines, without the values of variables', async () => {
  const secret = `canary-${randomUUID()}`;
  const script = `for i in $(seq 1 30); do echo line $i; done; echo ${secret}; exit 3`;
  const dockerfile = `FROM ${test.image}\nRUN ${JSON.stringify(['/bin/sh', '-c', script])}`;
  const { run } = await build({ Dockerfile: dockerfile }, { variables: { TOKEN: secret } });
  const error = (await run().catch((failure: unknown) => failure)) as Error;
  expect(error).toMatchObject({ code: 'BUILD_FAILED', message: expect.stringContaining('line 30\n***') });
  expect(error.message).not.toContain('line 5\n');
  expect(error.message).not.toContain(secret);
});

/** Twice this is printed: more than the process may grow by. */
const FLOOD_BYTES = 256 * 1024 ** 2;

it('that prints without end, first in one line, costs neither memory nor its end', async () => {
  const oneLine = `yes | tr -d "\\n" | head -c ${FLOOD_BYTES}; echo`;
  const manyLines = `yes "a line of some length, as compilers print them" | head -c ${FLOOD_BYTES}`;
  const script = JSON.stringify(['/bin/sh', '-c', `: ${randomUUID()}; ${oneLine}; ${manyLines}; echo; echo the end`]);
  let [bytes, longest, newest] = [0, 0, 0];
  const last: string[] = [];
  const onReport = ({ firstNumber, lines }: BuildReport): void => {
    expect(firstNumber).toBeGreaterThan(newest);
    newest = firstNumber + lines.length - 1;
    for (const { text } of lines) {
      bytes += Buffer.byteLength(text);
      longest = Math.max(longest, Buffer.byteLength(text));
      if (last.push(text) > 100) last.shift();
    }
  };
  const dockerfile = `FROM ${test.image}\nRUN ${script}`;
  const { run } = await build({ Dockerfile: dockerfile }, { timeoutMs: 600_000, onReport });
  const before = process.memoryUsage().rss;
  let grown = 0;
  const watch = setInterval(() => {
    grown = Math.max(grown, process.memoryUsage().rss - before);
  }, 200);
  await run();
  clearInterval(watch);
  // What is left when a busy machine ends the build comes soon after it.
  await expect.poll(() => last, { timeout: 60_000 }).toContain('the end');
  expect(longest).toBeLessThanOrEqual(8 * 1024);
  expect(newest).toBeGreaterThan(FLOOD_BYTES / 50);
  expect(bytes).toBeLessThan(60 * 1024 ** 2);
  expect(grown).toBeLessThan(1.75 * FLOOD_BYTES);
}, 900_000);

describe('a build that is to end', () => {
  /** A step that can be found among the processes of this machine, and that nothing but a kill ends. */
  function aLongStep() {
    const seconds = 100_000 + Math.floor(Math.random() * 900_000);
    const dockerfile = `FROM ${test.image}\nRUN ["/bin/sleep","${seconds}"]`;
    const isThere = () => processes().some((line) => line.includes(`sleep ${seconds}`));
    return { files: { Dockerfile: dockerfile }, isThere };
  }

  it('ends on the daemon too when it is cancelled', async () => {
    const { files, isThere } = aLongStep();
    const running = (await build(files)).run();
    running.catch(() => undefined);
    await expect.poll(isThere, { timeout: 30_000 }).toBe(true);
    running.cancel();
    await expect(running).rejects.toThrow(/cancel/i);
    await expect.poll(isThere, { timeout: 30_000 }).toBe(false);
  });

  it('ends on the daemon too when it takes too long, and says so', async () => {
    const { files, isThere } = aLongStep();
    const running = (await build(files, { timeoutMs: 3_000 })).run();
    await expect(running).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      message: expect.stringContaining('it takes longer than 3 s'),
    });
    await expect.poll(isThere, { timeout: 30_000 }).toBe(false);
  });

  it.each([
    ['too little is left', { minFreeBytes: 500 }, [1_000, 1_000, 400], 'must stay free'],
    ['too much is written', { maxWrittenBytes: 500 }, [9_000, 9_000, 8_400], 'are allowed'],
  ])('ends on the daemon too when of its disk %s', async (_, limits, free, words) => {
    const { files, isThere } = aLongStep();
    let looks = 0;
    const freeBytes = async () => {
      if (isThere()) looks += 1;
      return free[Math.min(looks, free.length - 1)] ?? 0;
    };
    const running = (await build(files, { disk: { ...limits, freeBytes } })).run();
    await expect(running).rejects.toMatchObject({ code: 'BUILD_FAILED', message: expect.stringContaining(words) });
    await expect.poll(isThere, { timeout: 30_000 }).toBe(false);
  });

  it('does not even begin when there is too little space', async () => {
    const { files } = aLongStep();
    const { run, printed } = await build(files, { disk: { minFreeBytes: Number.MAX_SAFE_INTEGER } });
    await expect(run()).rejects.toMatchObject({ code: 'BUILD_FAILED' });
    expect(printed()).toEqual([]);
  });
});

describe('a build that finds its node busy', () => {
  it('says that it waits, goes on when there is a place, and leaves the line when it is cancelled', async () => {
    const slots = createSlots(1);
    const giveBack = await slots.take(new AbortController().signal, () => undefined);
    const [first, second] = await Promise.all([
      build({ Dockerfile: `FROM ${test.image}\nENV FIRST=${randomUUID()}` }, { slots }),
      build({ Dockerfile: `FROM ${test.image}\nENV SECOND=${randomUUID()}` }, { slots }),
    ]);
    const cancelled = first.run();
    cancelled.catch(() => undefined);
    await expect.poll(() => first.reports.map(({ phase }) => phase)).toEqual(['waiting']);
    const built = second.run();
    await expect.poll(() => second.reports.map(({ phase }) => phase)).toEqual(['waiting']);
    cancelled.cancel();
    await expect(cancelled).rejects.toThrow(/cancel/i);
    expect(first.printed()).toEqual([]);
    giveBack();
    await built;
    expect(second.reports.at(-1)).toMatchObject({ phase: 'building', complete: true });
  });
});
