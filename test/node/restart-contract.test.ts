import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ObservedContainer } from '../../domain/container.ts';
import { restartPolicyOf } from '../../domain/restart-plan.ts';
import type { RestartPolicy } from '../../domain/spec.ts';
import { openTestDocker, type TestDocker } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { createFakeDocker, type FakeDocker } from '../support/fake-docker.ts';
import { createReplicaStarter } from '../support/replicas.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** A daemon under test: what the platform calls, and how an application on it starts and dies. */
interface Corner {
  readonly runtime: Pick<FakeDocker['runtime'], 'findContainer' | 'startContainer' | 'setRestartPolicy'> & {
    stopContainer(id: string, graceMs: number): Promise<void>;
  };
  run(policy: RestartPolicy): Promise<string>;
  /** Kills the application behind the daemon's back, as a crash does. */
  crash(id: string): Promise<void>;
}

let test: TestDocker;
let startReplica: Awaited<ReturnType<typeof createReplicaStarter>>;

beforeAll(async () => {
  test = await openTestDocker();
  startReplica = await createReplicaStarter(test);
});
afterAll(() => test?.remove());

function realCorner(): Corner {
  const crash = async (id: string): Promise<void> => {
    const { Pid: pid } = (await test.client.getContainer(id).inspect()).State;
    process.kill(pid, 'SIGKILL');
  };
  return { runtime: test.docker, run: (restartPolicy) => startReplica({ restartPolicy }), crash };
}

function fakeCorner(): Corner {
  const fake = createFakeDocker();
  const run = async (policy: RestartPolicy): Promise<string> => {
    const id = randomUUID();
    fake.run(id, policy);
    return id;
  };
  return { runtime: fake.runtime, run, crash: async (id) => fake.exit(id, 137) };
}

describe.each([
  ['the real daemon', realCorner],
  ['the fake one', fakeCorner],
])('restarts on %s', (_, open) => {
  const get = async ({ runtime }: Corner, id: string): Promise<ObservedContainer> => {
    const found = await runtime.findContainer(id);
    if (!found) throw new Error('the container is gone');
    return found;
  };
  const reaches = (corner: Corner, id: string, wanted: Partial<ObservedContainer>): Promise<ObservedContainer> =>
    eventually(async () => {
      const found = await get(corner, id);
      expect(found).toMatchObject(wanted);
      return found;
    });

  it.each<RestartPolicy>(['always', 'on-failure', 'never'])(
    'begin with the policy that is wanted: %s',
    async (policy) => {
      const corner = open();
      const found = await get(corner, await corner.run(policy));
      expect(restartPolicyOf(found)).toBe(policy);
      expect(found).toMatchObject({ status: 'running', daemonPolicy: policy, restarts: 0, finishedAt: null });
    },
  );

  it('are left to the daemon while it has the policy', async () => {
    const corner = open();
    for (const policy of ['always', 'on-failure'] as const) {
      const id = await corner.run(policy);
      const { startedAt } = await get(corner, id);
      await corner.crash(id);
      const again = await eventually(async () => {
        const found = await get(corner, id);
        expect(found.startedAt).not.toBe(startedAt);
        return found;
      });
      expect(again).toMatchObject({ status: 'running', restarts: 1, exitCode: null, finishedAt: expect.any(String) });
    }
  });

  it('are done by nobody while it is held back, and setting the policy again starts nothing', async () => {
    const corner = open();
    const id = await corner.run('always');
    const { startedAt } = await get(corner, id);
    await corner.runtime.setRestartPolicy(id, 'never');
    expect(await get(corner, id)).toMatchObject({ status: 'running', startedAt, daemonPolicy: 'never' });
    await corner.crash(id);
    const exited = await reaches(corner, id, { status: 'exited', exitCode: 137, outOfMemory: false, restarts: 0 });
    expect(Date.parse(exited.finishedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(startedAt ?? ''));
    await corner.runtime.setRestartPolicy(id, 'always');
    expect(await get(corner, id)).toEqual({ ...exited, daemonPolicy: 'always' });
  });

  it('by a call are told by the start time, and reset the count of the daemon', async () => {
    const corner = open();
    const id = await corner.run('always');
    await corner.crash(id);
    await reaches(corner, id, { status: 'running', restarts: 1 });
    await corner.runtime.setRestartPolicy(id, 'never');
    await corner.crash(id);
    const exited = await reaches(corner, id, { status: 'exited', restarts: 1 });
    await corner.runtime.startContainer(id);
    const again = await get(corner, id);
    expect(again).toMatchObject({ status: 'running', restarts: 0, exitCode: null, finishedAt: exited.finishedAt });
    expect(again.startedAt).not.toBe(exited.startedAt);
  });

  it('do not follow a stop', async () => {
    const corner = open();
    const id = await corner.run('always');
    await corner.runtime.stopContainer(id, 0);
    await reaches(corner, id, { status: 'exited', exitCode: 137, restarts: 0 });
  });

  it('cannot be set for what does not exist', async () => {
    const missing = open().runtime.setRestartPolicy('f'.repeat(64), 'never');
    await expect(missing).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
