import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { launch } from '../../workers/dev/launch.ts';
import { createLogFile } from '../../workers/dev/log-file.ts';
import { endStaleProcesses, findStaleProcesses } from '../../workers/dev/pid-files.ts';
import { type GroupMember, type ProcessGroup, startGroup } from '../../workers/dev/process-group.ts';
import { identifyProcess } from '../../workers/dev/process-identity.ts';
import type { ProcessEvent } from '../../workers/dev/supervised-process.ts';
import { eventually } from '../support/eventually.ts';

const CHILD = join(import.meta.dirname, 'child.ts');
const QUICK = { firstDelayMs: 1, longestDelayMs: 4, soundAfterMs: 60_000 };

describe('a group of processes', { timeout: 60_000 }, () => {
  let folder: string;
  let runDir: string;
  let events: ProcessEvent[];
  const groups: ProcessGroup[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'obiente-group-'));
    runDir = join(folder, 'run');
    for (const name of ['run', 'logs']) mkdirSync(join(folder, name));
    events = [];
  });

  afterEach(async () => {
    for (const group of groups.splice(0)) await group.stop();
    await rm(folder, { recursive: true });
  });

  function aMember(name: string, changes: Partial<GroupMember> & { behaviour?: string } = {}): GroupMember {
    const { behaviour = 'ready', ...rest } = changes;
    return {
      name,
      command: process.execPath,
      args: [CHILD, behaviour],
      env: {},
      cwd: folder,
      readiness: { kind: 'message' },
      stopSignal: 'SIGTERM',
      stopGraceMs: 10_000,
      after: [],
      ...rest,
    };
  }

  async function start(members: GroupMember[], signal?: AbortSignal): Promise<ProcessGroup> {
    const onEvent = (event: ProcessEvent): void => void events.push(event);
    const options = { runDir, logsDir: join(folder, 'logs'), onEvent, timing: QUICK };
    const group = await startGroup(members, signal ? { ...options, signal } : options);
    groups.push(group);
    return group;
  }

  function happened(kind: ProcessEvent['kind']): string[] {
    return events.filter((event) => event.kind === kind).map(({ name }) => name);
  }

  function pidOf(group: ProcessGroup, name: string): number {
    const pid = group.processes.find((one) => one.name === name)?.pid();
    if (pid === undefined) throw new Error(`${name} does not run`);
    return pid;
  }

  it('starts each after those that it needs, and stops in reverse', async () => {
    const onFirstReady = async (): Promise<void> => void events.push({ kind: 'stopped', name: 'prepared' });
    const group = await start([
      aMember('database', { onFirstReady }),
      aMember('api', { after: ['database'] }),
      aMember('ingress', { after: ['api'] }),
    ]);
    expect(events.map(({ name }) => name)).toEqual(['database', 'prepared', 'api', 'ingress']);
    await group.stop();
    expect(happened('stopped')).toEqual(['prepared', 'ingress', 'api', 'database']);
    expect(readFileSync(join(folder, 'logs', 'api.log'), 'utf8')).toContain('child stops');
  });

  it('starts a killed process again and nothing else', async () => {
    const group = await start([aMember('api'), aMember('node')]);
    const before = { api: pidOf(group, 'api'), node: pidOf(group, 'node') };
    group.processes.find(({ name }) => name === 'api')?.kill('SIGKILL');
    await eventually(() => expect(happened('ready').toSorted()).toEqual(['api', 'api', 'node']));
    expect(pidOf(group, 'api')).not.toBe(before.api);
    expect(pidOf(group, 'node')).toBe(before.node);
    expect(events.find(({ kind }) => kind === 'ended')).toMatchObject({ name: 'api', reason: 'ended by SIGKILL' });
  });

  it('goes on starting again what was ready once, however often it ends', async () => {
    const group = await start([aMember('api')]);
    for (let starts = 1; starts <= 6; starts += 1) {
      await eventually(() => expect(group.processes[0]?.isReady()).toBe(true));
      expect(group.processes[0]?.starts()).toBe(starts);
      group.processes[0]?.kill('SIGKILL');
      await eventually(() => expect(happened('ended')).toHaveLength(starts));
    }
    const delays = events.flatMap((event) => (event.kind === 'ended' ? [event.restartInMs] : []));
    expect(delays).toEqual([1, 2, 4, 4, 4, 4]);
  });

  it('gives up at once on a wrong configuration, with the last lines of its log, and stops the others', async () => {
    const failed = start([aMember('api'), aMember('node', { behaviour: 'misconfigured', after: ['api'] })]);
    await expect(failed).rejects.toMatchObject({
      code: 'CONFIGURATION',
      message: expect.stringMatching(/^node cannot be started: exit code 78; .*\n {2}child misconfigured of pid/s),
    });
    expect(happened('stopped')).toEqual(['api']);
  });

  it('gives up on what was never ready after 5 starts', async () => {
    await expect(start([aMember('api', { behaviour: 'crashing' })])).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(happened('ended')).toHaveLength(4);
  });

  it('gives up at once on a program that does not exist', async () => {
    const failed = start([aMember('api', { command: '/does/not/exist' })]);
    await expect(failed).rejects.toMatchObject({ message: expect.stringContaining('ENOENT') });
  });

  it('ends by force what does not stop within its grace', async () => {
    const group = await start([aMember('deaf', { behaviour: 'deaf', stopGraceMs: 50 })]);
    const pid = pidOf(group, 'deaf');
    await group.stop();
    expect(identifyProcess(pid)).toBeUndefined();
  });

  it('can be given up while it starts', async () => {
    const cancel = new AbortController();
    const readiness = { kind: 'tcp', host: '127.0.0.1', port: 1 } as const;
    const starting = start([aMember('api'), aMember('never', { readiness })], cancel.signal);
    await eventually(() => expect(happened('ready')).toEqual(['api']));
    cancel.abort();
    await expect(starting).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(findStaleProcesses(runDir)).toEqual([]);
  });

  it('finds and ends what a killed supervisor left, but never another process with the same pid', async () => {
    const log = createLogFile(join(folder, 'logs', 'left.log'));
    const left = launch(aMember('left'), { log, runDir });
    const record = {
      name: 'reused',
      pid: process.pid,
      identity: 'another boot:1',
      stopSignal: 'SIGTERM',
      stopGraceMs: 1,
    };
    writeFileSync(join(runDir, 'reused.json'), JSON.stringify(record));
    writeFileSync(join(runDir, 'cut.json'), '{"name":"cu');
    const stale = findStaleProcesses(runDir);
    expect(stale).toMatchObject([{ name: 'left', pid: left.pid }]);
    await endStaleProcesses(runDir, stale);
    await left.exit;
    expect(findStaleProcesses(runDir)).toEqual([]);
  });
});
