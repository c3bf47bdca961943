import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLog } from '../../adapters/logging/log.ts';
import type { ObservedContainer } from '../../domain/container.ts';
import type { ReportedReplica, UnseenReplica } from '../../domain/reported-replica.ts';
import { createReplicaReporter, type ReplicaReporter } from '../../workers/node/replica-reporter.ts';
import { aContainer } from '../support/containers.ts';

let containers: Map<string, ObservedContainer>;
let listed: string[] | undefined;
let isDaemonHealthy: boolean;
let reports: { replicas: readonly ReportedReplica[]; complete: boolean }[];
let refuse: number;
let unseen: readonly UnseenReplica[];
let looks: string[];
let reporter: ReplicaReporter;
let stopping: AbortController;

beforeEach(() => {
  vi.useFakeTimers();
  containers = new Map();
  listed = undefined;
  isDaemonHealthy = true;
  reports = [];
  refuse = 0;
  unseen = [];
  looks = [];
  stopping = new AbortController();
  reporter = createReplicaReporter({
    listContainerIds: async () => listed ?? [...containers.keys()],
    findContainer: async (id) => {
      looks.push(id);
      return containers.get(id);
    },
    isDaemonHealthy: async () => isDaemonHealthy,
    observe: async () => ({ state: 'healthy', reason: '' }),
    standing: ({ exitCode, outOfMemory, restarts }) => {
      return { exitCode, outOfMemory, restarts, streak: restarts, nextRestartAt: null };
    },
    report: async (report) => {
      if (refuse-- > 0) throw new Error('the control plane is away');
      reports.push(report);
      return report.complete ? unseen : [];
    },
    lookSlot: (task) => task(),
    log: createLog({ role: 'node', level: 'silent' }),
  });
  void reporter.run(stopping.signal);
});

afterEach(() => {
  stopping.abort(new Error('over'));
  vi.useRealTimers();
});

function add(id: string, changes: Partial<ObservedContainer> = {}): void {
  containers.set(id, aContainer(id, changes));
}

const settle = (ms = 0) => vi.advanceTimersByTimeAsync(ms);
const last = () => reports.at(-1);
const states = () => last()?.replicas.map((replica) => `${replica.containerId} ${replica.state}`);

describe('what a node reports', () => {
  it('is everything at each connection, and an empty node is told as well', async () => {
    reporter.tell({ kind: 'connected' });
    await settle();
    expect(reports).toEqual([{ replicas: [], complete: true }]);
    add('a');
    add('b', { status: 'exited', exitCode: 3 });
    reporter.tell({ kind: 'connected' });
    await settle();
    expect(last()?.complete).toBe(true);
    expect(states()).toEqual(['a healthy', 'b exited']);
  });

  it('is what an earlier process left, looked at by id: gone only when the daemon is in health', async () => {
    unseen = [{ deploymentId: 'd', revision: 1, replicaId: 'r1-0', containerId: 'a' }];
    add('a');
    listed = [];
    reporter.tell({ kind: 'connected' });
    await settle();
    expect(reports[0]).toEqual({ replicas: [], complete: true });
    expect(states()).toEqual(['a healthy']);
    containers.clear();
    isDaemonHealthy = false;
    await settle(30_001);
    expect(states()).toEqual(['a healthy']);
    isDaemonHealthy = true;
    await settle(30_001);
    expect(states()).toEqual(['a removed']);
  });

  it('is one look at a container however often it changed meanwhile', async () => {
    add('a');
    for (let times = 0; times < 50; times += 1) reporter.tell({ kind: 'changed', containerId: 'a' });
    await settle();
    expect(reports).toHaveLength(1);
    expect(looks).toEqual(['a']);
  });

  it('leaves out containers that are no replicas', async () => {
    add('a', { labels: {} });
    reporter.tell({ kind: 'changed', containerId: 'a' });
    await settle();
    expect(reports).toEqual([]);
  });

  it('is everything again after half a minute, since events may get lost without a word', async () => {
    reporter.tell({ kind: 'connected' });
    await settle();
    add('a');
    await settle(30_001);
    expect(states()).toEqual(['a healthy']);
  });

  it('is not lost while the control plane is away', async () => {
    refuse = 4;
    add('a');
    reporter.tell({ kind: 'connected' });
    await settle(60_000);
    expect(reports[0]).toMatchObject({ complete: true });
    expect(states()).toEqual(['a healthy']);
  });
});

describe('a replica that is gone', () => {
  beforeEach(async () => {
    add('a');
    reporter.tell({ kind: 'connected' });
    await settle();
  });

  it('is told once Docker has told it', async () => {
    containers.delete('a');
    reporter.tell({ kind: 'removed', containerId: 'a' });
    await settle();
    expect(states()).toEqual(['a removed']);
  });

  it('is not believed of a list that does not have it', async () => {
    listed = [];
    reporter.tell({ kind: 'connected' });
    await settle();
    expect(states()).toEqual(['a healthy']);
  });

  it('is told when a healthy daemon says twice that it does not know it', async () => {
    containers.delete('a');
    looks = [];
    reporter.tell({ kind: 'connected' });
    await settle();
    expect(looks).toEqual(['a', 'a']);
    expect(states()).toEqual(['a removed']);
  });

  it('is not believed of a daemon that is not well', async () => {
    containers.delete('a');
    isDaemonHealthy = false;
    reporter.tell({ kind: 'connected' });
    await settle();
    expect(states()).toEqual(['a healthy']);
  });

  it('is told again when the first time did not arrive', async () => {
    refuse = 2;
    containers.delete('a');
    reporter.tell({ kind: 'removed', containerId: 'a' });
    await settle(20_000);
    expect(states()).toEqual(['a removed']);
  });
});
