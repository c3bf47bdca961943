import pLimit from 'p-limit';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLog } from '../../adapters/logging/log.ts';
import type { RestartFile } from '../../adapters/node-files/restart-file.ts';
import type { RestartMemory } from '../../domain/restart-record.ts';
import { RESTART_RULES } from '../../domain/restart-rule.ts';
import { createRestartKeeper, type RestartKeeper } from '../../workers/node/restart-keeper.ts';
import { createRestartMemory } from '../../workers/node/restart-memory.ts';
import { createFakeDocker, type FakeDocker } from '../support/fake-docker.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** How exactly a crash loop is played. */
const STEP_MS = 100;

let docker: FakeDocker;
let keeper: RestartKeeper;
let stopping: AbortController;
/** What the file on disk has; survives the node process. */
let onDisk: RestartMemory;
let isDiskFull: boolean;
let changes: string[];
/** The node's slots for starts; a single one. */
let startSlot: <Answer>(task: () => Promise<Answer>) => Promise<Answer>;

beforeEach(async () => {
  vi.useFakeTimers({ now: new Date('2026-01-01T00:00:00Z') });
  docker = createFakeDocker();
  docker.onEvent((event) => keeper.tell(event));
  onDisk = { records: new Map(), retired: new Set() };
  isDiskFull = false;
  changes = [];
  startSlot = pLimit(1);
  await startProcess();
});

afterEach(() => {
  stopping.abort(new Error('over'));
  vi.useRealTimers();
});

const settle = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

/** Starts a node process on what an earlier one has left on disk. */
async function startProcess(): Promise<void> {
  stopping = new AbortController();
  const file: RestartFile = {
    known: onDisk,
    save: async (memory) => {
      if (isDiskFull) throw new Error('no space left on device');
      onDisk = structuredClone(memory);
    },
  };
  keeper = createRestartKeeper({
    runtime: docker.runtime,
    memory: createRestartMemory(file, () => undefined),
    lookSlot: (task) => task(),
    startSlot,
    onChange: (id) => changes.push(id),
    log: createLog({ role: 'node', level: 'silent' }),
  });
  void keeper.run(stopping.signal);
  await settle();
}

/** Ends the process as `kill -9` does: nothing is written, and nobody listens. */
async function killProcess(): Promise<void> {
  isDiskFull = true;
  stopping.abort(new Error('killed'));
  await settle();
  isDiskFull = false;
}

async function find(id = 'a') {
  const found = await docker.runtime.findContainer(id);
  if (!found) throw new Error(`there is no container ${id}`);
  return found;
}

const statusOf = async (id?: string) => (await find(id)).status;
const standingOf = async (id?: string) => keeper.standing(await find(id));

/** Runs `a`, which exits as soon as it is started, for so long; answers with the pauses between an exit and a start. */
async function crashLoop(forMs: number, code = 3): Promise<number[]> {
  const pauses: number[] = [];
  let exitedAtMs: number | undefined;
  for (const until = Date.now() + forMs; Date.now() < until; await settle(STEP_MS)) {
    if ((await statusOf()) !== 'running') continue;
    if (exitedAtMs !== undefined) pauses.push(Date.now() - exitedAtMs);
    docker.exit('a', code);
    exitedAtMs = Date.now();
  }
  return pauses;
}

describe('a crash loop', () => {
  it('is left to the daemon at first, and then backs off to five minutes, with the daemon held back', async () => {
    docker.run('a');
    const pauses = await crashLoop(HOUR);
    expect(docker.starts.length).toBe(pauses.length - 3);
    const own = pauses.slice(3);
    expect(own).toEqual([...own].sort((one, other) => one - other));
    expect(own[0]).toBeGreaterThan(3 * SECOND);
    expect(Math.max(...own)).toBeLessThanOrEqual(RESTART_RULES.longestDelayMs + STEP_MS);
    expect(own.at(-1)).toBeGreaterThan(4 * MINUTE);
    expect(pauses.length).toBeLessThan(28);
    expect(await find()).toMatchObject({ daemonPolicy: 'never' });
    expect(await standingOf()).toMatchObject({ restarts: pauses.length, streak: pauses.length, exitCode: 3 });
  });

  it('that ends gives the daemon its policy back after ten minutes, and is then forgotten as a streak', async () => {
    docker.run('a');
    const { length: restarts } = await crashLoop(5 * MINUTE);
    await settle(5 * MINUTE);
    expect(await find()).toMatchObject({ status: 'running', daemonPolicy: 'never' });
    changes = [];
    await settle(10 * MINUTE);
    expect(await find()).toMatchObject({ status: 'running', daemonPolicy: 'always' });
    expect(await standingOf()).toMatchObject({ restarts: restarts + 1, streak: 0, exitCode: 3 });
    expect(changes).toEqual(['a']);
    docker.exit('a', 1);
    await settle(SECOND);
    expect(await find()).toMatchObject({ status: 'running', daemonPolicy: 'always', restarts: 1 });
  });

  it('says when it is tried next', async () => {
    docker.run('a');
    await crashLoop(MINUTE);
    const { nextRestartAt, exitCode } = await standingOf();
    expect(exitCode).toBe(3);
    const inMs = Date.parse(nextRestartAt ?? '') - Date.now();
    expect(inMs).toBeGreaterThan(0);
    await settle(inMs - 1);
    expect(await statusOf()).toBe('exited');
    await settle(1);
    expect(await statusOf()).toBe('running');
    expect(await standingOf()).toMatchObject({ nextRestartAt: null, exitCode: 3 });
  });

  it('tells an exit for memory, also when the daemon is quicker than the look', async () => {
    docker.run('a');
    await settle();
    docker.exhaust('a');
    await settle(200);
    expect(await statusOf()).toBe('running');
    expect(await standingOf()).toMatchObject({ exitCode: 137, outOfMemory: true, restarts: 1 });
  });
});

describe('a replica that exits', () => {
  it('comes back half a second later where its daemon does not bring it back', async () => {
    docker.run('a');
    await settle();
    await docker.runtime.stopContainer('a');
    await settle(350);
    expect(await statusOf()).toBe('exited');
    await settle(150);
    expect(await statusOf()).toBe('running');
    expect(docker.starts).toEqual(['a']);
  });

  it.each([
    ['never', 1],
    ['on-failure', 0],
  ] as const)('stays as it is with the policy %s and code %i', async (policy, code) => {
    docker.run('a', policy);
    docker.exit('a', code);
    await settle(HOUR);
    expect(await statusOf()).toBe('exited');
    expect(await standingOf()).toMatchObject({ exitCode: code, nextRestartAt: null, restarts: 0 });
  });

  it('is restarted after a failure where failures are restarted', async () => {
    docker.run('a', 'on-failure');
    const pauses = await crashLoop(10 * MINUTE);
    expect(pauses.length).toBeGreaterThan(8);
    expect(await find()).toMatchObject({ daemonPolicy: 'never' });
  });

  it('is found although no event told of it', async () => {
    docker.run('a');
    await settle();
    docker.loseEvents(() => docker.runtime.stopContainer('a'));
    await settle(31 * SECOND);
    expect(await statusOf()).toBe('running');
  });

  it('is found and restarted once Docker answers again', async () => {
    docker.run('a');
    await settle();
    docker.loseEvents(() => docker.runtime.stopContainer('a'));
    docker.setAway(true);
    await settle(MINUTE);
    expect(docker.starts).toEqual([]);
    docker.setAway(false);
    await settle(SECOND);
    expect(await statusOf()).toBe('running');
  });

  it('is tried again with growing pauses where it cannot be started', async () => {
    docker.run('a');
    await settle(HOUR);
    docker.setRefusesStarts(true);
    await docker.runtime.stopContainer('a');
    await settle(HOUR);
    expect(docker.starts.length).toBeLessThan(28);
    expect(docker.starts.length).toBeGreaterThan(10);
    expect(await standingOf()).toMatchObject({ restarts: 0, nextRestartAt: expect.any(String) });
    docker.setRefusesStarts(false);
    await settle(5 * MINUTE);
    expect(await find()).toMatchObject({ status: 'running', daemonPolicy: 'never' });
  });

  it('is left to its daemon when it carries no policy of ours', async () => {
    docker.run('a');
    await docker.runtime.removeContainer('a');
    docker.run('old', null);
    await docker.runtime.stopContainer('old');
    await settle(HOUR);
    expect(docker.starts).toEqual([]);
    expect(await find('old')).toMatchObject({ status: 'exited', daemonPolicy: 'always' });
  });
});

describe('a node process that is killed', () => {
  it('is followed by one that goes on with the plan', async () => {
    docker.run('a');
    const before = (await crashLoop(2 * MINUTE)).length;
    const { nextRestartAt } = await standingOf();
    await killProcess();
    await settle(SECOND);
    await startProcess();
    expect(await standingOf()).toMatchObject({ restarts: before, nextRestartAt, exitCode: 3 });
    await settle(Date.parse(nextRestartAt ?? '') - Date.now() - 1);
    expect(await statusOf()).toBe('exited');
    await settle(1);
    expect(await statusOf()).toBe('running');
    expect(await standingOf()).toMatchObject({ restarts: before + 1 });
  });

  it('is followed by one that restarts what is overdue', async () => {
    docker.run('a');
    await settle();
    await killProcess();
    await docker.runtime.stopContainer('a');
    await settle(HOUR);
    expect(await statusOf()).toBe('exited');
    await startProcess();
    expect(await statusOf()).toBe('running');
  });

  it('leaves nothing held back for ever', async () => {
    docker.run('a');
    await crashLoop(MINUTE);
    await killProcess();
    await startProcess();
    await settle(20 * MINUTE);
    expect(await find()).toMatchObject({ status: 'running', daemonPolicy: 'always' });
  });

  it('leaves a stop on purpose as it is', async () => {
    docker.run('a');
    await settle();
    await keeper.retire(await find());
    await killProcess();
    await docker.runtime.stopContainer('a');
    await startProcess();
    await settle(HOUR);
    expect(await statusOf()).toBe('exited');
    await docker.runtime.removeContainer('a');
    await settle();
    expect(onDisk).toEqual({ records: new Map(), retired: new Set() });
  });
});

describe('a container that is stopped on purpose', () => {
  it('stays stopped, also when its restart was planned', async () => {
    docker.run('a');
    await crashLoop(MINUTE);
    await keeper.retire(await find());
    await settle(HOUR);
    expect(await statusOf()).toBe('exited');
    expect(await standingOf()).toMatchObject({ nextRestartAt: null });
  });

  it('waits for a restart that is under way, so that the stop comes after it', async () => {
    const answer = Promise.withResolvers<void>();
    docker.run('a');
    await settle();
    docker.holdStarts(answer.promise);
    await docker.runtime.stopContainer('a');
    await settle(SECOND);
    expect(docker.starts).toEqual(['a']);
    let isRetired = false;
    const retiring = keeper.retire(await find()).then(() => {
      isRetired = true;
    });
    await settle(MINUTE);
    expect(isRetired).toBe(false);
    answer.resolve();
    await retiring;
    await docker.runtime.stopContainer('a');
    await settle(HOUR);
    expect(await statusOf()).toBe('exited');
  });

  it('is not started by a restart that waits for its slot', async () => {
    const slot = Promise.withResolvers<void>();
    docker.run('a');
    await settle();
    void startSlot(() => slot.promise);
    await docker.runtime.stopContainer('a');
    await settle(MINUTE);
    await keeper.retire(await find());
    slot.resolve();
    await settle(HOUR);
    expect(docker.starts).toEqual([]);
  });

  it('is not brought back by its daemon either', async () => {
    docker.run('a', 'on-failure');
    await settle();
    await keeper.retire(await find());
    expect(await find()).toMatchObject({ daemonPolicy: 'never' });
  });

  it('is stopped although the disk is full', async () => {
    docker.run('a');
    await settle();
    isDiskFull = true;
    await keeper.retire(await find());
    await docker.runtime.stopContainer('a');
    await settle(HOUR);
    expect(await statusOf()).toBe('exited');
  });

  it('is kept again when somebody wants to start it after all', async () => {
    docker.run('a');
    await keeper.retire(await find());
    await docker.runtime.stopContainer('a');
    const release = await keeper.claim('a');
    await docker.runtime.startContainer('a');
    release();
    await docker.runtime.stopContainer('a');
    await settle(SECOND);
    expect(await statusOf()).toBe('running');
  });
});

describe('a container that a rollout watches', () => {
  it('is judged by the gate alone, and restarted by the daemon alone', async () => {
    docker.run('a');
    await crashLoop(MINUTE);
    const release = await keeper.claim('a');
    const { length: before } = docker.starts;
    expect(await find()).toMatchObject({ status: 'exited', daemonPolicy: 'always' });
    await settle(HOUR);
    expect(await statusOf()).toBe('exited');
    expect(await standingOf()).toMatchObject({ nextRestartAt: null });
    release();
    await settle();
    expect(docker.starts.length).toBe(before + 1);
  });

  it('can be claimed from the one slot that its restart waits for', async () => {
    const slot = Promise.withResolvers<void>();
    docker.run('a');
    await settle();
    const release = startSlot(async () => {
      await slot.promise;
      return await keeper.claim('a');
    });
    await docker.runtime.stopContainer('a');
    await settle(SECOND);
    slot.resolve();
    (await release)();
    await settle();
    expect(docker.starts).toEqual(['a']);
  });

  it('stays so until the last of several attempts has let go', async () => {
    docker.run('a');
    const [first, second] = [await keeper.claim('a'), await keeper.claim('a')];
    await docker.runtime.stopContainer('a');
    first();
    await settle(MINUTE);
    expect(await statusOf()).toBe('exited');
    second();
    await settle();
    expect(await statusOf()).toBe('running');
  });
});

it('remembers nothing of containers that are gone', async () => {
  for (const id of ['a', 'b', 'c']) docker.run(id);
  await crashLoop(MINUTE);
  docker.exit('b', 1);
  await settle(SECOND);
  expect([...onDisk.records.keys()].sort()).toEqual(['a', 'b']);
  for (const id of ['a', 'b']) await docker.runtime.removeContainer(id);
  docker.loseEvents(() => docker.runtime.removeContainer('c'));
  await settle(MINUTE);
  expect(onDisk.records.size).toBe(0);
});
