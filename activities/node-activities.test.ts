import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ActivityCancellationDetails } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createProber } from '../adapters/probe/prober.ts';
import type { EnsureReplicaInput } from '../contracts/node-activities.ts';
import type { ReplicaTemplate, StartedReplica } from '../contracts/rollout.ts';
import type { ContainerEvent } from '../domain/container.ts';
import { DomainError } from '../domain/errors.ts';
import { containerName, networkName } from '../domain/naming.ts';
import { DEFAULT_HEALTH_CHECK, DEFAULT_LIMITS, type HealthCheck, PLAIN_CONTAINER } from '../domain/spec.ts';
import { whatPrints } from '../test/support/container-exec.ts';
import { openTestDocker, type TestDocker } from '../test/support/docker.ts';
import { freePort } from '../test/support/free-port.ts';
import { aWatchedDaemon } from '../test/support/well-daemon.ts';
import { withoutGit } from '../test/support/without-git.ts';
import { createEnsureReplica } from './ensure-replica.ts';
import type { FailureReport, ReplicaPorts } from './node-ports.ts';
import { createRemoveLeftovers } from './remove-leftovers.ts';
import { createRemoveReplica } from './remove-replica.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const QUICK: HealthCheck = { ...DEFAULT_HEALTH_CHECK, intervalMs: 200, timeoutMs: 1_000, startPeriodMs: 300 };
const SERVE = 'httpd -f -p 8080 -h /bin';

let test: TestDocker;
let ports: ReplicaPorts;
let environment: Record<string, string>;
const listeners = new Map<string, Set<() => void>>();
const following = new AbortController();
const healthy: string[] = [];
/** Logs of replicas that were given up. */
const kept: FailureReport[] = [];
/** Containers that nobody else may restart at this moment. */
const claimed = new Set<string>();
/** What a container was when it was said to be stopped on purpose. */
const retired = new Map<string, string | undefined>();

beforeAll(async () => {
  test = await openTestDocker();
  ports = {
    instance: test.instance,
    nodeAddress: '127.0.0.1',
    runtime: test.docker,
    prober: createProber(),
    daemon: aWatchedDaemon().watch,
    restarts: {
      claim: async (id) => {
        claimed.add(id);
        return () => claimed.delete(id);
      },
      retire: async ({ id }) => {
        retired.set(id, (await test.docker.findContainer(id))?.status);
      },
    },
    fetchEnvironment: async () => environment,
    fetchRegistryCredential: async () => null,
    ensureBuiltImage: () => Promise.reject(new Error('nothing is built here')),
    startSlot: (task) => task(),
    onContainerChange: (id, listener) => {
      listeners.set(id, (listeners.get(id) ?? new Set()).add(listener));
      return () => listeners.get(id)?.delete(listener);
    },
    foundHealthy: ({ id }) => healthy.push(id),
    keepFailureLog: async (report) => void kept.push(report),
  };
  void tellListeners(test.docker.followEvents(following.signal));
});

async function tellListeners(events: AsyncIterable<ContainerEvent>): Promise<void> {
  for await (const event of events) {
    if (event.kind !== 'connected') for (const listener of listeners.get(event.containerId) ?? []) listener();
  }
}

afterAll(async () => {
  following.abort();
  await test?.remove();
});

beforeEach(() => {
  environment = {};
});

afterEach(async () => {
  for (const id of await test.listContainers()) await test.client.getContainer(id).remove({ force: true, v: true });
});

function anInput(changes: Partial<ReplicaTemplate> = {}): EnsureReplicaInput {
  const template: ReplicaTemplate = {
    deploymentId: randomUUID(),
    projectId: randomUUID(),
    service: 'app',
    container: PLAIN_CONTAINER,
    serviceName: 'app',
    operationId: randomUUID(),
    revision: 3,
    port: 8080,
    command: ['/bin/sh', '-c', SERVE],
    healthCheck: QUICK,
    limits: DEFAULT_LIMITS,
    restartPolicy: 'always',
    hasEnvironment: false,
    ...changes,
  };
  return { template, replicaId: 'r3-1', index: 1, image: { kind: 'reference', reference: test.image, digest: null } };
}

function anAttempt(): MockActivityEnvironment {
  return new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
}

function nameOf({ template: { deploymentId, revision }, index }: EnsureReplicaInput): string {
  return containerName({ instance: test.instance, deploymentId, revision, index });
}

function ensure(input: EnsureReplicaInput, using: Partial<ReplicaPorts> = {}) {
  const activity = anAttempt();
  const beats: Record<string, string>[] = [];
  activity.on('heartbeat', (details) => beats.push(details as Record<string, string>));
  const { ensureReplica } = createEnsureReplica({ ...ports, ...using });
  const started = activity.run(ensureReplica, input) as Promise<StartedReplica>;
  started.catch(() => undefined);
  return { activity, started, beats };
}

function remove(input: EnsureReplicaInput): Promise<void> {
  const { deploymentId, revision } = input.template;
  const { removeReplica } = createRemoveReplica(ports);
  const of = { deploymentId, revision, index: input.index, stopGraceMs: 1_000 };
  return anAttempt().run(removeReplica, of) as Promise<void>;
}

describe('bringing a replica up', () => {
  it('ends with a healthy container that is reached at the address told', async () => {
    const input = anInput();
    const { started, beats } = ensure(input);
    const replica = await started;
    const found = await test.docker.findContainer(nameOf(input));
    expect(replica).toMatchObject({ replicaId: 'r3-1', containerId: found?.id, startedAt: found?.startedAt });
    expect(replica.imageDigest).toMatch(/^sha256:[0-9a-f]{64}$/);
    const answer = await fetch(`http://127.0.0.1:${replica.address?.port}/busybox`);
    expect(answer.status).toBe(200);
    await answer.body?.cancel();
    expect(beats.length).toBeGreaterThan(0);
    expect(healthy).toContain(replica.containerId);
  });

  it('is left alone with the restarts of its container from before the start until the end', async () => {
    const seen: boolean[] = [];
    const look = (id: string) => seen.push(claimed.has(id));
    const watched: Partial<ReplicaPorts['runtime']> = {
      startContainer: async (id) => {
        look(id);
        await test.docker.startContainer(id);
      },
    };
    const runtime = { ...test.docker, ...watched };
    await ensure(anInput(), { runtime, foundHealthy: ({ id }) => look(id) }).started;
    expect(seen).toEqual([true, true]);
    expect(claimed.size).toBe(0);
  });

  it('gives the application its variables, and the platform its own', async () => {
    environment = { GREETING: 'hi there', OBIENTE_REPLICA: 'forged' };
    const input = anInput({ hasEnvironment: true });
    const { containerId } = await ensure(input).started;
    const { Env: variables } = (await test.client.getContainer(containerId).inspect()).Config;
    expect(variables).toEqual(
      expect.arrayContaining([
        'GREETING=hi there',
        'OBIENTE_DEPLOYMENT=app',
        'OBIENTE_REVISION=3',
        'OBIENTE_REPLICA=r3-1',
        'PORT=8080',
      ]),
    );
    environment = { ...environment, PORT: '9999' };
    await remove(input);
    const again = await ensure(input).started;
    expect((await test.client.getContainer(again.containerId).inspect()).Config.Env).toContain('PORT=9999');
  });

  it('again finds the one that runs', async () => {
    const input = anInput();
    const first = await ensure(input).started;
    const second = await ensure(input).started;
    expect({ ...second, times: first.times }).toEqual(first);
    expect(await test.listContainers()).toEqual([first.containerId]);
  });

  it('finishes what an attempt left that died between create and start', async () => {
    const input = anInput();
    const died: Partial<ReplicaPorts['runtime']> = { startContainer: () => Promise.reject(new Error('killed')) };
    await expect(ensure(input, { runtime: { ...test.docker, ...died } }).started).rejects.toThrow('killed');
    const left = await test.docker.findContainer(nameOf(input));
    expect(left?.status).toBe('created');
    expect((await ensure(input).started).containerId).toBe(left?.id);
  });

  it('makes a container once more whose start the daemon refused, and takes the second refusal for an answer', async () => {
    const refusal = new DomainError('REPLICA_EXITED', "the replica's command cannot be run: runc: exit status 255");
    const refused: string[] = [];
    const refusing = (times: number): Partial<ReplicaPorts['runtime']> => ({
      startContainer: async (id) => {
        if (refused.length >= times) return await test.docker.startContainer(id);
        refused.push(id);
        throw refusal;
      },
    });
    const { containerId } = await ensure(anInput(), { runtime: { ...test.docker, ...refusing(1) } }).started;
    expect(refused).toHaveLength(1);
    expect(await test.listContainers()).toEqual([containerId]);

    refused.length = 0;
    await expect(ensure(anInput(), { runtime: { ...test.docker, ...refusing(9) } }).started).rejects.toThrow(
      'exit status',
    );
    expect(new Set(refused).size).toBe(2);
    expect(await test.listContainers()).toEqual([containerId]);
  });

  it('finds the services of its cohort by name, and none that ran before it', async () => {
    const [deploymentId, projectId] = [randomUUID(), randomUUID()];
    const bring = async (service: string, number: number) => {
      const cohort = { number, services: ['app', 'prices'] };
      const input = anInput({ deploymentId, projectId, service, cohort, revision: number });
      return await ensure({ ...input, index: service === 'app' ? 0 : 1 }).started;
    };
    const finds = async ({ containerId }: StartedReplica, name: string) => {
      const said = await whatPrints(test.client, containerId, ['nslookup', '-type=a', name]);
      return said.match(/(?<=^Address: )[\d.]+$/gm);
    };
    const addressOf = async ({ containerId }: StartedReplica) =>
      (await test.docker.findContainer(containerId))?.ipAddress;
    const old = { prices: await bring('prices', 1), app: await bring('app', 1) };
    const young = { prices: await bring('prices', 2), app: await bring('app', 2) };
    for (const { app, prices } of [old, young]) {
      expect(await finds(app, 'prices')).toEqual([await addressOf(prices)]);
      expect(await finds(prices, 'app')).toEqual([await addressOf(app)]);
    }
  });

  it('makes the network again when it vanished in between', async () => {
    const input = anInput();
    await ensure(input).started;
    await remove(input);
    await test.client.getNetwork(networkName(test.instance, input.template.projectId)).remove();
    await ensure(input).started;
  });

  it.each([
    ['a port that is listened to late', { command: ['/bin/sh', '-c', `sleep 0.3; ${SERVE}`] }],
    ['an HTTP path', { healthCheck: { ...QUICK, probe: { kind: 'http', path: '/busybox', expectedStatus: 200 } } }],
    ['a command', { healthCheck: { ...QUICK, probe: { kind: 'command', command: ['/bin/true'] } } }],
    ['nothing at all', { healthCheck: { ...QUICK, probe: { kind: 'none' } } }],
    ['that it keeps running, without a port', { port: null, command: ['/bin/sleep', '60'] }],
  ] as [string, Partial<ReplicaTemplate>][])('waits for %s', async (_, changes) => {
    const { address } = await ensure(anInput(changes)).started;
    expect(address === null).toBe(changes.port === null);
  });
});

describe('a replica that does not come up', () => {
  it.each([
    ['never listens', { command: ['/bin/sleep', '600'] }, 'REPLICA_UNHEALTHY', 'refused the connection'],
    [
      'answers with an error',
      { healthCheck: { ...QUICK, probe: { kind: 'http', path: '/none', expectedStatus: null } } },
      'REPLICA_UNHEALTHY',
      'answered 404',
    ],
    [
      'fails its health command',
      { healthCheck: { ...QUICK, probe: { kind: 'command', command: ['/bin/false'] } } },
      'REPLICA_UNHEALTHY',
      'health command',
    ],
    ['exits for good', { restartPolicy: 'never', command: ['/bin/sh', '-c', 'exit 9'] }, 'REPLICA_EXITED', 'code 9'],
    [
      'keeps crashing',
      { command: ['/bin/sh', '-c', 'echo bye; exit 5'] },
      'REPLICA_EXITED',
      'with code 5 after 3 restarts; last lines:\nbye',
    ],
    ['has no such command', { command: ['/no/such'] }, 'REPLICA_EXITED', '/no/such'],
    [
      'needs too much memory',
      {
        limits: { cpuCores: 1, memoryBytes: 8 * 1024 * 1024 },
        restartPolicy: 'never',
        command: ['/bin/sh', '-c', 'exec tail /dev/zero'],
      },
      'REPLICA_EXITED',
      'killed for using more than its 8 MiB',
    ],
  ] as [string, Partial<ReplicaTemplate>, string, string][])(
    'because it %s fails with the reason and leaves nothing',
    async (_, changes, code, words) => {
      const { started } = ensure(anInput(changes));
      await expect(started).rejects.toMatchObject({ code, message: expect.stringContaining(words) });
      expect(await test.listContainers()).toEqual([]);
    },
  );

  it('is told to have run out of memory also where Docker says so after the exit, and after other news', async () => {
    let exitsSeen = 0;
    const late: Partial<ReplicaPorts['runtime']> = {
      findContainer: async (id) => {
        const found = await test.docker.findContainer(id);
        if (found?.exitCode !== 137) return found;
        exitsSeen += 1;
        return { ...found, outOfMemory: exitsSeen > 3 };
      },
    };
    const onContainerChange: ReplicaPorts['onContainerChange'] = (_, listener) => {
      const news = setInterval(listener, 50);
      return () => clearInterval(news);
    };
    const input = anInput({ restartPolicy: 'never', command: ['/bin/sh', '-c', 'exit 137'] });
    const { started } = ensure(input, { runtime: { ...test.docker, ...late }, onContainerChange });
    await expect(started).rejects.toThrow(/exited with code 137, killed for using more than/);
  });

  it('is not called healthy while its published port leads nowhere, with the reason', async () => {
    const closed = await freePort();
    const misled: Partial<ReplicaPorts['runtime']> = {
      findContainer: async (id) => {
        const found = await test.docker.findContainer(id);
        return found && { ...found, hostPort: closed };
      },
    };
    const { started } = ensure(anInput(), { runtime: { ...test.docker, ...misled } });
    await expect(started).rejects.toMatchObject({
      code: 'REPLICA_UNHEALTHY',
      message: expect.stringContaining(`its published port on 127.0.0.1 does not: port ${closed} refused`),
    });
    expect(await test.listContainers()).toEqual([]);
  });

  it('has its last lines in the error, without the values of its variables', async () => {
    environment = { PASSWORD: 'hunter22-secret' };
    const command = ['/bin/sh', '-c', 'for i in $(seq 1 40); do echo "line $i $PASSWORD"; done; exit 1'];
    const input = anInput({ hasEnvironment: true, restartPolicy: 'never', command });
    const error = (await ensure(input).started.catch((failure: unknown) => failure)) as Error;
    expect(error.message).toContain('line 40 ***');
    expect(error.message).not.toContain('hunter22');
    expect(error.message).not.toContain('line 20 ');
    const { deploymentId } = input.template;
    const whole = Array.from({ length: 40 }, (_, index) => ({ stream: 'stdout', text: `line ${index + 1} ***` }));
    expect(kept.at(-1)).toMatchObject({ deploymentId, replicaId: 'r3-1', lines: whole, shortened: false });
  });

  it('shows no value of several lines either, however short each of them is', async () => {
    environment = { CODES: 'q1z\nq2z\nq3z' };
    const command = ['/bin/sh', '-c', 'echo "$CODES"; exit 1'];
    const { started } = ensure(anInput({ hasEnvironment: true, restartPolicy: 'never', command }));
    const error = (await started.catch((failure: unknown) => failure)) as Error;
    expect(error.message).toContain('***');
    expect(error.message).not.toContain('q2z');
  });

  it('fails with its reason also when its log cannot be kept', async () => {
    const command = ['/bin/sh', '-c', 'echo bye; exit 1'];
    const keepFailureLog = () => Promise.reject(new Error('the control plane is away'));
    const { started } = ensure(anInput({ restartPolicy: 'never', command }), { keepFailureLog });
    await expect(started).rejects.toMatchObject({ code: 'REPLICA_EXITED', message: expect.stringContaining('bye') });
    expect(await test.listContainers()).toEqual([]);
  });

  it('because its name is taken by something else is refused, and the other left alone', async () => {
    const input = anInput();
    const other = await test.client.createContainer({ name: nameOf(input), Image: test.image });
    await expect(ensure(input).started).rejects.toMatchObject({ code: 'REPLICA_CONFLICT' });
    await other.inspect();
    await other.remove();
  });
});

describe('an attempt that is ended from outside', () => {
  const never = { command: ['/bin/sleep', '600'], healthCheck: { ...QUICK, startPeriodMs: 600_000 } };

  async function running(input: EnsureReplicaInput): Promise<string> {
    return await expect
      .poll(async () => (await test.docker.findContainer(nameOf(input)))?.status, { timeout: 10_000 })
      .toBe('running')
      .then(async () => (await test.docker.findContainer(nameOf(input)))?.id ?? '');
  }

  it('removes its container when it is cancelled', async () => {
    const input = anInput(never);
    const { activity, started } = ensure(input);
    await running(input);
    activity.cancel();
    await expect(started).rejects.toThrow('CANCELLED');
    expect(await test.listContainers()).toEqual([]);
  });

  it('leaves its container to the next attempt when the process shuts down', async () => {
    const input = anInput({ ...never, command: ['/bin/sh', '-c', `sleep 2; ${SERVE}`] });
    const { activity, started } = ensure(input);
    const id = await running(input);
    activity.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true }));
    await expect(started).rejects.toThrow('WORKER_SHUTDOWN');
    expect((await ensure(input).started).containerId).toBe(id);
  });

  it('leaves its container to the attempt that has taken over', async () => {
    const input = anInput(never);
    const { activity, started } = ensure(input);
    await running(input);
    activity.cancel('TIMED_OUT', new ActivityCancellationDetails({ timedOut: true }));
    await expect(started).rejects.toThrow('TIMED_OUT');
    expect(await test.listContainers()).toHaveLength(1);
  });

  it('removes what a create made whose answer it never got', async () => {
    const input = anInput(never);
    const created = Promise.withResolvers<void>();
    const lost: Partial<ReplicaPorts['runtime']> = {
      createContainer: async (wanted) => {
        await test.docker.createContainer(wanted);
        created.resolve();
        await delay(100);
        throw new Error('no answer');
      },
    };
    const { activity, started } = ensure(input, { runtime: { ...test.docker, ...lost } });
    await created.promise;
    activity.cancel();
    await expect(started).rejects.toThrow();
    expect(await test.listContainers()).toEqual([]);
  });
});

describe('removing a replica', () => {
  it('says that it is stopped on purpose while it still runs', async () => {
    const input = anInput();
    const { containerId } = await ensure(input).started;
    await remove(input);
    expect(retired.get(containerId)).toBe('running');
  });

  it('that is given up says so too, and claims nothing any more', async () => {
    retired.clear();
    await expect(ensure(anInput({ command: ['/bin/sleep', '600'] })).started).rejects.toThrow('refused');
    expect([...retired.values()]).toEqual(['running']);
    expect(claimed.size).toBe(0);
  });

  it('is done when it is gone, however often', async () => {
    const input = anInput();
    await ensure(input).started;
    await remove(input);
    await remove(input);
    expect(await test.listContainers()).toEqual([]);
  });

  it('does not touch a container of that name that belongs to somebody else', async () => {
    const input = anInput();
    const other = await test.client.createContainer({ name: nameOf(input), Image: test.image });
    await expect(remove(input)).rejects.toMatchObject({ code: 'REPLICA_CONFLICT' });
    await other.remove();
  });

  it('leaves no network of its project behind', async () => {
    const input = anInput();
    const { deploymentId, projectId } = input.template;
    await ensure(input).started;
    await remove(input);
    const { removeLeftovers } = createRemoveLeftovers({ ...ports, git: withoutGit });
    await anAttempt().run(removeLeftovers, { deploymentId, projectId });
    const network = test.client.getNetwork(networkName(test.instance, projectId));
    await expect(network.inspect()).rejects.toMatchObject({ statusCode: 404 });
  });
});
