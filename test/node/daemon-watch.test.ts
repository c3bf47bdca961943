import { ActivityCancellationDetails } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createWatchNode } from '../../activities/watch-node.ts';
import type { DaemonHealth } from '../../adapters/docker/health.ts';
import type { WatchedNode } from '../../contracts/node.ts';
import type { DiskLevel } from '../../domain/disk-guard.ts';
import { createDaemonWatch, type RunningDaemonWatch } from '../../workers/node/daemon-watch.ts';
import { createDiskWatch, type RunningDiskWatch } from '../../workers/node/disk-watch.ts';

const HEALTHY: DaemonHealth = { kind: 'healthy' };
const REFUSED: DaemonHealth = { kind: 'unreachable', reason: 'connection refused' };
const SILENT: DaemonHealth = { kind: 'unanswered', reason: 'no answer within 5000 ms' };

let health: DaemonHealth;
let daemon: RunningDaemonWatch;
let free: () => Promise<number>;
let disk: RunningDiskWatch;
let stopping: AbortController;

beforeEach(() => {
  vi.useFakeTimers();
  health = HEALTHY;
  stopping = new AbortController();
  daemon = createDaemonWatch(async () => health);
  void daemon.run(stopping.signal);
  free = async () => 50;
  disk = createDiskWatch(async () => ({ freeBytes: await free(), totalBytes: 100 }), { minFreePercent: 10 });
  void disk.run(stopping.signal);
});

afterEach(() => {
  stopping.abort();
  vi.useRealTimers();
});

async function stateAfter(ms: number, found: DaemonHealth): Promise<string> {
  health = found;
  await vi.advanceTimersByTimeAsync(ms);
  return daemon.current().state;
}

describe('the watch of a daemon', () => {
  it('finds it degraded at the first refusal, and ready as soon as it answers', async () => {
    expect(await stateAfter(3_000, REFUSED)).toBe('degraded');
    expect(daemon.current().reason).toBe('connection refused');
    expect(await stateAfter(3_000, HEALTHY)).toBe('ready');
    expect(daemon.current().reason).toBe('');
  });

  it('finds it degraded at the second silence in a row, since a busy host may be slow once', async () => {
    expect(await stateAfter(3_000, SILENT)).toBe('ready');
    expect(await stateAfter(1_000, HEALTHY)).toBe('ready');
    expect(await stateAfter(3_000, SILENT)).toBe('ready');
    expect(await stateAfter(1_000, SILENT)).toBe('degraded');
  });

  it('finds one that hangs within 14 s, although each look takes five', async () => {
    let answers = true;
    const hanging = createDaemonWatch(async () => {
      if (answers) return HEALTHY;
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      return SILENT;
    });
    void hanging.run(stopping.signal);
    await vi.advanceTimersByTimeAsync(1);
    answers = false;
    await vi.advanceTimersByTimeAsync(14_000);
    expect(hanging.current().state).toBe('degraded');
  });
});

describe('watching a node', () => {
  function watch(known: 'ready' | 'degraded' | 'lost', maxMs = 600_000, knownDisk?: DiskLevel) {
    const activity = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
    let beats = 0;
    activity.on('heartbeat', () => {
      beats += 1;
    });
    const found: Promise<WatchedNode> = activity.run(createWatchNode(daemon, disk).watchNode, {
      ...{ known, maxMs, ...(knownDisk ? { knownDisk } : {}) },
    });
    found.catch(() => undefined);
    return { activity, found, beats: () => beats };
  }

  it('returns at once when the state is another than the one known', async () => {
    expect(await watch('lost').found).toEqual({ state: 'ready', reason: '' });
  });

  it('heartbeats while nothing changes, and returns the change', async () => {
    const { found, beats } = watch('ready');
    await vi.advanceTimersByTimeAsync(30_000);
    expect(beats()).toBeGreaterThanOrEqual(15);
    await stateAfter(3_000, REFUSED);
    expect(await found).toEqual({ state: 'degraded', reason: 'connection refused' });
  });

  it('returns when its time is over, and when this process is about to end', async () => {
    const { found } = watch('ready', 60_000);
    const other = watch('ready').found;
    await vi.advanceTimersByTimeAsync(60_001);
    expect(await found).toEqual({ state: 'ready', reason: '' });
    daemon.close();
    expect(await other).toEqual({ state: 'ready', reason: '' });
  });

  it('returns within five seconds when the disk fills up, with what there is to say of it', async () => {
    const { found } = watch('ready', 600_000, 'room');
    await vi.advanceTimersByTimeAsync(30_000);
    free = async () => 4;
    await vi.advanceTimersByTimeAsync(5_000);
    const notice = 'its disk is nearly full: 4 % free';
    expect(await found).toEqual({ state: 'ready', reason: '', disk: { level: 'full', notice } });
  });

  it('goes on while the disk is as full as is known, after a restart too, and returns when it has room again', async () => {
    free = async () => 11;
    await vi.advanceTimersByTimeAsync(2_001);
    const { found } = watch('ready', 600_000, 'full');
    await vi.advanceTimersByTimeAsync(30_000);
    free = async () => 12;
    await vi.advanceTimersByTimeAsync(2_001);
    expect((await found).disk).toEqual({ level: 'low', notice: 'its disk is filling up: 12 % free' });
  });

  it('says nothing of a disk to a workflow that did not ask, nor of one that cannot be measured', async () => {
    free = async () => 4;
    await vi.advanceTimersByTimeAsync(2_001);
    const unasked = watch('ready', 1_000);
    await vi.advanceTimersByTimeAsync(1_001);
    expect(await unasked.found).toEqual({ state: 'ready', reason: '' });
    disk = createDiskWatch(() => Promise.reject(new Error('docker is away')), { minFreePercent: 10 });
    void disk.run(stopping.signal);
    const unmeasured = watch('ready', 10_000, 'room');
    await vi.advanceTimersByTimeAsync(10_001);
    expect(await unmeasured.found).toEqual({ state: 'ready', reason: '' });
  });

  it('ends when it is cancelled', async () => {
    const { activity, found } = watch('ready');
    await vi.advanceTimersByTimeAsync(1_000);
    activity.cancel('CANCELLED', new ActivityCancellationDetails({ cancelRequested: true }));
    await expect(found).rejects.toThrow('CANCELLED');
  });
});
