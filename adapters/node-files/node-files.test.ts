import { mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { toRow } from '../../domain/metrics/minutes.ts';
import { addNodeReading } from '../../domain/metrics/node-minutes.ts';
import { eventually } from '../../test/support/eventually.ts';
import { evenCounters } from '../../test/support/samples.ts';
import { createPullRecords, openPullRecords } from '../docker/pull-records.ts';
import { type Checkpoint, parseCheckpoint } from './checkpoint-file.ts';
import { openMetricsSpool } from './metrics-spool.ts';
import { createPullRecordsFile } from './pull-records-file.ts';
import { openRestartFile } from './restart-file.ts';
import { watchFile } from './watched-file.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'obiente-files-'));
});
afterEach(async () => await rm(folder, { recursive: true }));

describe('a watched file', () => {
  const signal = new AbortController().signal;

  it('may come after its watcher, folder and all', async () => {
    const path = join(folder, 'later', 'node-id');
    const file = await watchFile(path);
    expect(file.current()).toBeUndefined();
    const present = file.untilPresent(signal);
    await writeFile(path, 'the-id\n');
    expect(await present).toBe('the-id');
    file.close();
  });

  it('may be replaced by another of its name', async () => {
    const path = join(folder, 'keys');
    await writeFile(path, 'old');
    const file = await watchFile(path);
    expect(await file.untilPresent(signal)).toBe('old');
    await writeFile(`${path}.new`, 'new');
    await rename(`${path}.new`, path);
    await eventually(() => expect(file.current()).toBe('new'));
    file.close();
  });

  it('is waited for no longer than wanted', async () => {
    const file = await watchFile(join(folder, 'never'));
    const stopping = new AbortController();
    const waiting = file.untilPresent(stopping.signal);
    stopping.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
    file.close();
  });
});

describe('the checkpoint file', () => {
  const open = {
    ...{ containerId: 'c', deploymentId: 'd', replicaId: 'r1-0', minuteMs: 60_000, incarnation: 'x' },
    ...{ source: 'cgroup' as const, counters: evenCounters(9), seen: evenCounters(8), used: evenCounters(4) },
    ...{ atMs: 65_000, clockMs: null, memorySumBytes: 30, memoryMaxBytes: 20, memoryLimitBytes: 40, pageCacheBytes: 6 },
    ...{ pidsMax: 2, observedMs: 5_000, samples: 2 },
  };
  const row = toRow(open);
  const nodeReading = {
    ...{ incarnation: 'boot', atMs: 65_000, load1Hundredths: 12 },
    counters: {
      cpuBusyNanos: 1,
      cpuTotalNanos: 2,
      pressureCpuMicros: 3,
      pressureMemoryMicros: null,
      pressureIoMicros: 4,
    },
    ...{ memoryUsedBytes: 5, memoryTotalBytes: 6, diskUsedBytes: 7, diskTotalBytes: 8 },
  };
  const { open: node } = addNodeReading(undefined, nodeReading, { minuteMs: 60_000 });
  const checkpoint: Checkpoint = { state: { knownSinceMs: 5, open: [open], node }, pending: row ? [row] : [] };

  const spoolIn = (unusable = vi.fn(), dropped = vi.fn()) =>
    openMetricsSpool({
      ...{ path: join(folder, 'spool.db'), formerFile: join(folder, 'checkpoint.json'), maxBytes: 1_000_000 },
      ...{ now: () => 7, onUnusable: unusable, onDropped: dropped },
    });

  it('is taken over into the spool once, which outlives its process, for its owner only', async () => {
    await writeFile(join(folder, 'checkpoint.json'), JSON.stringify({ version: 1, ...checkpoint }));
    const unusable = vi.fn();
    const first = spoolIn(unusable);
    expect(first.state()).toEqual(checkpoint.state);
    expect(first.next(0)?.batch).toEqual({ kind: 'container', rows: checkpoint.pending });
    first.close();
    const again = spoolIn(unusable);
    expect(again.size()).toMatchObject({ batches: 1, rows: 1, oldestMs: 7, dropped: 0 });
    again.remove(1);
    again.keep([], { knownSinceMs: 9, open: [] });
    again.close();
    const last = spoolIn(unusable);
    expect(last.state()).toEqual({ knownSinceMs: 9, open: [] });
    expect(last.next(0)).toBeUndefined();
    last.close();
    expect((await stat(join(folder, 'spool.db'))).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['spool.db']);
    expect(unusable).not.toHaveBeenCalled();
  });

  it('is taken over from an older version, and what that one did not count counts from the next reading on', () => {
    const five = { cpuNanos: 9, networkReceiveBytes: 9, networkTransmitBytes: 9, diskReadBytes: 9, diskWriteBytes: 9 };
    const old = {
      ...{
        containerId: 'c',
        deploymentId: 'd',
        replicaId: 'r1-0',
        minuteMs: 60_000,
        incarnation: 'x',
        source: 'cgroup',
      },
      ...{ counters: five, used: five, memorySumBytes: 30, memoryMaxBytes: 20, samples: 2 },
    };
    const kept = { version: 1, state: { knownSinceMs: 5, open: [old] }, pending: [] };
    const [found] = parseCheckpoint(JSON.stringify(kept)).state.open;
    expect(found).toMatchObject({ counters: five, seen: five, clockMs: null, used: { cpuNanos: 9, oomKills: 0 } });
    expect(found?.counters.oomKills).toBeUndefined();
  });

  it.each(['', '{', '{"version":2}', JSON.stringify({ version: 1, ...checkpoint, pending: [{}] })])(
    'counts as none when it holds %j, and says so',
    async (text) => {
      await writeFile(join(folder, 'checkpoint.json'), text);
      const unusable = vi.fn();
      const spool = spoolIn(unusable);
      expect(spool.state()).toBeUndefined();
      spool.close();
      expect(unusable).toHaveBeenCalledOnce();
    },
  );

  it('sets a damaged spool aside, says so, and begins a new one', async () => {
    await writeFile(join(folder, 'spool.db'), 'this is no database at all'.repeat(100));
    const unusable = vi.fn();
    const spool = spoolIn(unusable);
    expect(spool.keep([{ kind: 'container', rows: checkpoint.pending }])).toHaveLength(1);
    spool.close();
    expect(unusable).toHaveBeenCalledOnce();
    expect(await readdir(folder)).toEqual(['spool.db', 'spool.db.damaged']);
  });
});

describe('the records of pulled images', () => {
  const everyone = { grantee: 'everyone', name: 'nginx@sha256:1', digest: 'sha256:1' } as const;
  const tenant = { grantee: { credentialId: 'a' }, name: 'ghcr.io/acme/app:1', digest: 'sha256:2' } as const;

  const open = (path: string, unusable = vi.fn()) => openPullRecords(createPullRecordsFile(path, unusable), unusable);

  it('outlive their process, for their owner only, and tell tenants apart', async () => {
    const path = join(folder, 'pulled.json');
    const records = await open(path);
    records.remember([everyone]);
    records.remember([tenant]);
    await eventually(async () => expect((await open(path)).find(tenant)).toBe('sha256:2'));
    const again = await open(path);
    expect(again.find(everyone)).toBe('sha256:1');
    expect(again.find({ ...tenant, grantee: 'everyone' })).toBeUndefined();
    expect(again.find({ ...tenant, grantee: { credentialId: 'b' } })).toBeUndefined();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('hold a bounded number, and forget what was used longest ago', async () => {
    const records = createPullRecords();
    const grantOf = (index: number) => ({
      grantee: 'everyone' as const,
      name: `app:${index}`,
      digest: `sha256:${index}`,
    });
    for (let index = 0; index < 5_000; index += 1) records.remember([grantOf(index)]);
    expect(records.find(grantOf(0))).toBe('sha256:0');
    records.remember([grantOf(5_000)]);
    expect([0, 1, 2].map((index) => records.find(grantOf(index)))).toEqual(['sha256:0', undefined, 'sha256:2']);
  });

  it.each(['', '{', '{"version":2}', '{"version":1,"grants":[{"grantee":"x"}]}'])(
    'count as none when their file holds %j, and say so',
    async (text) => {
      const path = join(folder, 'pulled.json');
      await writeFile(path, text);
      const unusable = vi.fn();
      expect((await open(path, unusable)).find(everyone)).toBeUndefined();
      expect(unusable).toHaveBeenCalledOnce();
    },
  );

  it('go on in memory when they cannot be saved, and say so', async () => {
    const unsaved = vi.fn();
    const records = await open(join(folder, 'no', 'such', 'folder'), unsaved);
    records.remember([everyone]);
    await eventually(() => expect(unsaved).toHaveBeenCalledOnce());
    expect(records.find(everyone)).toBe('sha256:1');
  });
});

describe('the file of restarts', () => {
  const record = {
    ...{ restarts: 9, streak: 4, startedAt: '2026-01-01T00:00:00.5Z', daemonRestarts: 3, exitCode: 137 },
    ...{ outOfMemory: true, outOfMemoryNow: false, failedTryAtMs: 17 },
  };
  const memory = { records: new Map([['c', record]]), retired: new Set(['d']) };
  const unusable = vi.fn();

  it('is nothing at first, and then what was saved last, for its owner only', async () => {
    const path = join(folder, 'restarts.json');
    const { known, save } = await openRestartFile(path, unusable);
    expect(known).toEqual({ records: new Map(), retired: new Set() });
    await save(memory);
    expect((await openRestartFile(path, unusable)).known).toEqual(memory);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['restarts.json']);
    expect(unusable).not.toHaveBeenCalled();
  });

  it.each(['', '{"version":1,"records":{"c":{}},"retired":[]}', '{"version":2}'])(
    'counts as none when it holds %j',
    async (text) => {
      const path = join(folder, 'restarts.json');
      await writeFile(path, text);
      const { known } = await openRestartFile(path, unusable);
      expect(known.records.size).toBe(0);
      expect(unusable).toHaveBeenCalled();
    },
  );
});
