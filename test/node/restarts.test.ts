import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createLog } from '../../adapters/logging/log.ts';
import { openRestartFile } from '../../adapters/node-files/restart-file.ts';
import type { ObservedContainer } from '../../domain/container.ts';
import { RESTART_RULES, type RestartRules } from '../../domain/restart-rule.ts';
import { createContainerHub } from '../../workers/node/container-hub.ts';
import { createRestartKeeper } from '../../workers/node/restart-keeper.ts';
import { createRestartMemory } from '../../workers/node/restart-memory.ts';
import { DOCKER_SOCKET, openTestDocker, type TestDocker } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { createReplicaStarter } from '../support/replicas.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

/** The node's rules with short times: pauses of 0.4, 0.8, 1.6, 1.6, … s, over after 4 s of running. */
const QUICK: RestartRules = { firstDelayMs: 400, longestDelayMs: 1_600, stableMs: 4_000, leftToDaemon: 2 };

let test: TestDocker;
let startReplica: Awaited<ReturnType<typeof createReplicaStarter>>;
let dir: string;
const ends: (() => unknown)[] = [];

beforeAll(async () => {
  test = await openTestDocker();
  startReplica = await createReplicaStarter(test);
  dir = await mkdtemp(join(tmpdir(), 'obiente-restarts-'));
});

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  for (const id of await test.listContainers()) await test.client.getContainer(id).remove({ force: true, v: true });
});

afterAll(async () => {
  await test?.remove();
  await rm(dir, { recursive: true, force: true });
});

async function find(id: string): Promise<ObservedContainer> {
  const found = await test.docker.findContainer(id);
  if (!found) throw new Error('the container is gone');
  return found;
}

function reaches(id: string, wanted: Partial<ObservedContainer>): Promise<ObservedContainer> {
  return eventually(async () => {
    const found = await find(id);
    expect(found).toMatchObject(wanted);
    return found;
  });
}

/** Waits until a container has been started once more than it was at `before`. */
async function isStartedAgain(id: string, before: ObservedContainer): Promise<ObservedContainer> {
  return await eventually(async () => {
    const found = await find(id);
    expect(found.startedAt).not.toBe(before.startedAt);
    return found;
  });
}

/** Exits as soon as it is started, for the first `times`, and then serves. */
function crashing(times: number) {
  const script = `echo x >> /data/starts; [ $(wc -l < /data/starts) -gt ${times} ] || exit 3; exec sleep 600`;
  return { command: ['/bin/sh', '-c', script] };
}

describe('a keeper on a real daemon', () => {
  /** Keeps restarts as a node process does, with short times. */
  async function keep() {
    const stopping = new AbortController();
    const log = createLog({ role: 'node', level: 'silent' });
    const path = await mkdtemp(join(dir, 'keeper-'));
    const file = await openRestartFile(join(path, 'restarts.json'), (reason) => expect.unreachable(String(reason)));
    const slot = <Answer>(task: () => Promise<Answer>): Promise<Answer> => task();
    const world = { runtime: test.docker, memory: createRestartMemory(file, () => undefined), log };
    const keeper = createRestartKeeper({ ...world, lookSlot: slot, startSlot: slot, onChange: () => undefined }, QUICK);
    const hub = createContainerHub();
    hub.onEvent(keeper.tell);
    const ended = [keeper.run(stopping.signal), hub.run(test.docker.followEvents(stopping.signal))];
    ends.push(async () => {
      stopping.abort(new Error('over'));
      await Promise.all(ended);
    });
    return keeper;
  }

  /** Pauses between each exit of a container since `since` and the start after it, as Docker told them, in milliseconds. */
  async function pausesOf(id: string, since: number): Promise<number[]> {
    const filters = { container: [id], event: ['start', 'die'] };
    const until = Math.ceil(Date.now() / 1000);
    const told = await text(Readable.from(await test.client.getEvents({ since, until, filters })));
    const events = told.trim().split('\n');
    const times = events.map((line) => JSON.parse(line) as { Action: string; timeNano: number });
    return times.flatMap(({ Action: action, timeNano }, index) => {
      const exit = times[index - 1];
      return action === 'start' && exit ? [(timeNano - exit.timeNano) / 1e6] : [];
    });
  }

  it('lets a crash loop back off, holds the daemon back meanwhile, and gives its policy back in the end', async () => {
    const keeper = await keep();
    const id = await startReplica(crashing(6));
    const held = await reaches(id, { daemonPolicy: 'never', status: 'exited', exitCode: 3 });
    const { nextRestartAt, streak } = keeper.standing(held);
    expect(streak).toBeGreaterThanOrEqual(QUICK.leftToDaemon);
    expect(Date.parse(nextRestartAt ?? '')).toBeGreaterThan(Date.parse(held.finishedAt ?? ''));
    const running = await eventually(async () => {
      const found = await find(id);
      expect(found.status).toBe('running');
      expect(keeper.standing(found)).toMatchObject({ restarts: 6, exitCode: 3, nextRestartAt: null });
      return found;
    });
    // The daemon counts its own restarts, from the last start by somebody else on.
    expect(running).toMatchObject({ daemonPolicy: 'never', restarts: 0 });
    const own = await pausesOf(id, Date.parse(held.finishedAt ?? '') / 1000);
    expect(own.length).toBeGreaterThan(0);
    for (const pauseMs of own) expect(pauseMs).toBeGreaterThan(0.8 * QUICK.longestDelayMs);

    await reaches(id, { daemonPolicy: 'always', startedAt: running.startedAt });
    expect(keeper.standing(await find(id))).toMatchObject({ restarts: 6, streak: 0, exitCode: 3 });
  });

  it('restarts what somebody else has stopped or killed, which its daemon does not', async () => {
    await keep();
    const id = await startReplica();
    const before = await find(id);
    await test.client.getContainer(id).kill();
    const again = await isStartedAgain(id, before);
    await test.client.getContainer(id).stop({ t: 0 });
    await isStartedAgain(id, again);
  });

  it('leaves alone what is stopped on purpose', async () => {
    const keeper = await keep();
    const id = await startReplica({ restartPolicy: 'on-failure' });
    const other = await startReplica();
    await keeper.retire(await find(id));
    await test.docker.stopContainer(id, 0);
    const stopped = await reaches(id, { status: 'exited', daemonPolicy: 'never' });
    // What is killed later is restarted later, so by then this one would have been, too.
    for (let restarts = 0; restarts < 3; restarts += 1) {
      const before = await find(other);
      await test.client.getContainer(other).kill();
      await isStartedAgain(other, before);
    }
    expect(await find(id)).toEqual(stopped);
    expect(keeper.standing(stopped)).toMatchObject({ nextRestartAt: null });
  });

  it('tells an exit for memory apart from others', async () => {
    const keeper = await keep();
    const limits = { cpuCores: 1, memoryBytes: 8 * 1024 * 1024 };
    const script = 'echo x >> /data/starts; [ $(wc -l < /data/starts) -gt 1 ] || exec tail /dev/zero; sleep 4; exit 9';
    const id = await startReplica({ limits, command: ['/bin/sh', '-c', script] });
    await eventually(async () => {
      const found = await find(id);
      expect(keeper.standing(found)).toMatchObject({ exitCode: 137, outOfMemory: true });
    });
    await eventually(async () => {
      const found = await find(id);
      expect(keeper.standing(found)).toMatchObject({ exitCode: 9, outOfMemory: false });
    });
  });
});

describe('a node process without a control plane', () => {
  let environment: Record<string, string>;

  beforeAll(async () => {
    const nobody = await freePort();
    await writeFile(join(dir, 'join'), 'a join token of this test', { mode: 0o600 });
    await writeFile(join(dir, 'payload'), randomBytes(32).toString('base64'), { mode: 0o600 });
    environment = {
      ...{ PATH: process.env.PATH ?? '', LOG_LEVEL: 'silent', DOCKER_SOCKET, OBIENTE_INSTANCE: test.instance },
      ...{ CONTROL_URL: `http://127.0.0.1:${nobody}`, TEMPORAL_ADDRESS: `127.0.0.1:${nobody}` },
      ...{ PAYLOAD_KEY_FILE: join(dir, 'payload'), NODE_JOIN_TOKEN_FILE: join(dir, 'join') },
      ...{ NODE_KEY_DIR: join(dir, 'node'), NODE_GATEWAY_PORT: String(await freePort()) },
    };
  });

  function startProcess(): ChildProcess {
    const args = [join(import.meta.dirname, '../../bin/obiente.js'), 'node'];
    const child = spawn(process.execPath, args, { env: environment, stdio: 'ignore' });
    ends.push(() => kill(child));
    return child;
  }

  async function kill(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  }

  async function remembered(id: string) {
    const { known } = await openRestartFile(join(dir, 'node', 'restarts.json'), () => undefined);
    return known.records.get(id);
  }

  it('restarts what it finds exited, although no event told of it', async () => {
    const first = startProcess();
    const id = await startReplica();
    await test.client.getContainer(id).kill();
    const running = await reaches(id, { status: 'running', finishedAt: expect.any(String) });
    await kill(first);
    await test.client.getContainer(id).kill();
    const exited = await reaches(id, { status: 'exited' });
    startProcess();
    const again = await isStartedAgain(id, running);
    expect(again).toMatchObject({ status: 'running', finishedAt: exited.finishedAt });
  });

  it('killed in the middle of a crash loop goes on with the plan when it is started again', async () => {
    const first = startProcess();
    const id = await startReplica(crashing(1_000));
    const streak = RESTART_RULES.leftToDaemon + 1;
    const exited = await eventually(async () => {
      const record = await remembered(id);
      const found = await find(id);
      expect(record?.streak).toBeGreaterThanOrEqual(streak);
      expect(found).toMatchObject({ status: 'exited', daemonPolicy: 'never', startedAt: record?.startedAt });
      return found;
    });
    const before = await remembered(id);
    await kill(first);
    startProcess();
    const again = await isStartedAgain(id, exited);
    // Its daemon alone would have waited for less than two seconds, and a plan that began anew for half of one.
    const pauseMs = Date.parse(again.startedAt ?? '') - Date.parse(exited.finishedAt ?? '');
    expect(pauseMs).toBeGreaterThan(0.8 * RESTART_RULES.firstDelayMs * 2 ** streak);
    await eventually(async () => {
      expect(await remembered(id)).toMatchObject({ restarts: (before?.restarts ?? 0) + 1, exitCode: 3 });
    });
  });
});
