import { randomInt, randomUUID } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { OperationState } from '../../gen/obiente/cloud/v1/deployments_pb.ts';
import { eventually } from '../support/eventually.ts';
import { obiente, openApi, pidOf } from '../support/platform.ts';
import { seeProcesses } from '../support/processes.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { aBuilt, eventsOf, readLog } from './built.ts';
import { createSubject, type Subject } from './deployed.ts';
import { platformOfWorker } from './platforms.ts';

const platform = platformOfWorker();
const api = openApi(platform);
const docker = useTestDocker();
afterAll(() => api.close());

/** A deployment whose build runs this script. No other build has done so, so the cache does not answer for it. */
async function building(script: string): Promise<Subject> {
  const run = JSON.stringify(['/bin/sh', '-c', `: ${randomUUID()}; ${script}`]);
  return await createSubject(api, await aBuilt(api, { Dockerfile: `FROM ${docker.corner.image}\nRUN ${run}` }));
}

/** A step that nothing but a kill ends, and how to see whether it runs. */
function aLongStep() {
  const seconds = randomInt(100_000, 1_000_000);
  const isRunning = () => seeProcesses().some(({ commandLine }) => commandLine.includes(`sleep ${seconds}`));
  return { script: `echo it sleeps; exec /bin/sleep ${seconds}`, isRunning };
}

async function cancel(subject: Subject): Promise<void> {
  const operationId = (await subject.get()).operation?.id ?? '';
  await api.operations.cancelOperation({ idempotencyKey: randomUUID(), operationId });
}

const until = (holds: () => boolean) => eventually(() => expect(holds()).toBe(true));

describe('a build', { timeout: 240_000 }, () => {
  it('is watched while it runs, and read afterwards from the command line', async () => {
    const subject = await building('for i in $(seq 1 20); do echo "line $i"; sleep 0.2; done');
    let sawItRunning = false;
    const followed = await eventually(() =>
      readLog(api, subject.id, {
        follow: true,
        onLine: async ({ text }) => {
          if (text === 'line 10')
            sawItRunning = (await eventsOf(api, subject.id)).every((one) => !one.includes('is built'));
        },
      }),
    );
    expect(sawItRunning).toBe(true);
    const wanted = Array.from({ length: 20 }, (_, index) => `line ${index + 1}`);
    expect(followed.map(({ text }) => text).filter((text) => text.startsWith('line '))).toEqual(wanted);
    expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED });
    expect(await readLog(api, subject.id)).toEqual(followed);
    const printed = await obiente(platform, 'logs', subject.name, '--build');
    expect(printed.code).toBe(0);
    for (const line of wanted) expect(printed.stdout.split('\n')).toContain(line);
    await subject.remove();
  });

  it('goes on after its node process was killed in the middle: one log, with a remark where it began again', async () => {
    const subject = await building('for i in $(seq 1 30); do echo "line $i"; sleep 0.2; done');
    let killed = 0;
    const followed = await eventually(() =>
      readLog(api, subject.id, {
        follow: true,
        onLine: async ({ text }) => {
          if (text !== 'line 10' || killed > 0) return;
          killed = await pidOf(platform, 'node');
          process.kill(killed, 'SIGKILL');
        },
      }),
    );
    expect(killed).toBeGreaterThan(0);
    expect(await subject.outcome()).toMatchObject({ state: OperationState.SUCCEEDED, errorMessage: '' });
    expect(await readLog(api, subject.id)).toEqual(followed);
    const numbers = followed.map(({ number }) => number);
    expect(numbers).toEqual(numbers.toSorted((one, other) => one - other));
    expect(new Set(numbers).size).toBe(numbers.length);
    const texts = followed.map(({ text }) => text);
    const remarks = texts.filter((text) => text.includes('begins again'));
    // An attempt that ended before it had printed anything counts, and needs no remark.
    expect(remarks).toEqual([expect.stringMatching(/^the build was interrupted and begins again: attempt \d+$/)]);
    const at = texts.indexOf(remarks[0] ?? '');
    const [before, after] = [texts.slice(0, at), texts.slice(at)].map((part) =>
      part.filter((text) => text.startsWith('line ')),
    );
    const wanted = Array.from({ length: 30 }, (_, index) => `line ${index + 1}`);
    expect(before?.length).toBeGreaterThanOrEqual(10);
    expect(before).toEqual(wanted.slice(0, before?.length));
    expect(after).toEqual(wanted);
    expect((await eventsOf(api, subject.id)).join('\n')).toMatch(/again, attempt \d+/);
    await subject.remove();
  });

  it('ends on the daemon when it is cancelled, and keeps what it printed', async () => {
    const { script, isRunning } = aLongStep();
    const subject = await building(script);
    await until(isRunning);
    await cancel(subject);
    expect(await subject.outcome()).toMatchObject({ state: OperationState.CANCELLED });
    await until(() => !isRunning());
    const kept = await readLog(api, subject.id, { follow: true });
    expect(kept.map(({ text }) => text)).toContain('it sleeps');
    await subject.remove();
  });

  it('says that it waits for a place on its node, leaves the line when it is cancelled, and has its turn', async () => {
    const { script, isRunning } = aLongStep();
    const first = await building(script);
    await until(isRunning);
    const [leaves, stays] = [await building('echo 1'), await building('echo 2')];
    for (const waiting of [leaves, stays]) {
      await eventually(async () =>
        expect((await eventsOf(api, waiting.id)).join('\n')).toMatch(
          /build.waiting: waiting for a build slot on node-/,
        ),
      );
    }
    await cancel(leaves);
    expect(await leaves.outcome()).toMatchObject({ state: OperationState.CANCELLED });
    expect(await readLog(api, leaves.id)).toEqual([]);
    expect(isRunning()).toBe(true);
    await cancel(first);
    expect(await stays.outcome()).toMatchObject({ state: OperationState.SUCCEEDED });
    for (const subject of [first, leaves, stays]) await subject.remove();
  });
});
