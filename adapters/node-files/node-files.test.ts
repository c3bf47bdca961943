import { mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { toRow } from '../../domain/metrics/minutes.ts';
import type { Checkpoint } from '../../streamer/checkpoint.ts';
import { eventually } from '../../test/support/eventually.ts';
import { evenCounters } from '../../test/support/samples.ts';
import { createPullRecords, openPullRecords } from '../docker/pull-records.ts';
import { createCheckpointFile } from './checkpoint-file.ts';
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
  const checkpoint: Checkpoint = { state: { knownSinceMs: 5, open: [open] }, pending: row ? [row] : [] };

  it('gives back what was kept, readable by its owner only', async () => {
    const path = join(folder, 'checkpoint.json');
    const unusable = vi.fn();
    const store = createCheckpointFile(path, unusable);
    expect(await store.load()).toBeUndefined();
    await store.save({ state: { knownSinceMs: 0, open: [] }, pending: [] });
    await store.save(checkpoint);
    expect(await store.load()).toEqual(checkpoint);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['checkpoint.json']);
    expect(unusable).not.toHaveBeenCalled();
  });

  it.each(['', '{', '{"version":2}', JSON.stringify({ version: 1, ...checkpoint, pending: [{}] })])(
    'counts as none when it holds %j, and says so',
    async (text) => {
      const path = join(folder, 'checkpoint.json');
      await writeFile(path, text);
      const unusable = vi.fn();
      expect(await createCheckpointFile(path, unusable).load()).toBeUndefined();
      expect(unusable).toHaveBeenCalledOnce();
    },
  );
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
