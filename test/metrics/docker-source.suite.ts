import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCgroupSource } from '../../adapters/cgroup/cgroup-source.ts';
import { createDockerConnection, type DockerConnection } from '../../adapters/docker/connection.ts';
import { createDockerMeteredContainers } from '../../adapters/docker/metered-containers.ts';
import { createDockerStatsSource } from '../../adapters/docker/stats.ts';
import { percentile } from '../../bench/figure.ts';
import { recordKernel } from '../../bench/kernel.ts';
import type { Counters, MeteredContainer, Reading } from '../../domain/metrics/reading.ts';
import type { Meter } from '../../streamer/ports.ts';
import { DOCKER_SOCKET, openTestDocker, type TestDocker } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { startReplica } from '../support/metered.ts';

const BUSY = ['sh', '-c', 'while :; do :; done'];

/** A core that is used to this share by a busy loop. */
const BUSY_CORES = 0.2;

/** How far an answer's date may be from when the kernel showed its CPU time, milliseconds. */
const DATE_TOLERANCE_MS = 150;

/** The collector of an engine that waits for it comes by once a second; half of that lies between both kinds. */
const PROMPT_MS = 500;

/** Of the streamer at its usual interval, and one that no answer comes within which waits for a collector. */
const DEADLINES_MS = { usual: 4_500, short: 900 };

/** Sends, receives, writes and counts until it is told to be still; then it does nothing, and its counters stand. */
function workload(peer: string): readonly string[] {
  const round = [
    'dd if=/dev/zero of=/data/file bs=65536 count=4 conv=fsync 2>/dev/null',
    `echo hello | nc ${peer} 8080 >/dev/null`,
    'i=0; while [ $i -lt 500 ]; do i=$((i+1)); done',
  ].join('; ');
  return ['sh', '-c', `trap 'still=1' USR1; while [ -z "$still" ]; do ${round}; done; sleep 3600 & wait; wait`];
}

const signal = new AbortController().signal;

describe.each(['usual', 'short'] as const)('the stats of Docker within a deadline that is %s', (deadline) => {
  let corner: TestDocker;
  let docker: DockerConnection;
  let findMetered: (id: string) => Promise<MeteredContainer | undefined>;
  /** What was asked of the daemon, in words. */
  const asked: string[] = [];

  beforeAll(async () => {
    corner = await openTestDocker();
    const connection = createDockerConnection({ socketPath: DOCKER_SOCKET, requestTimeoutMs: 30_000 });
    docker = {
      ...connection,
      call: (what, ...rest) => {
        asked.push(what);
        return connection.call(what, ...rest);
      },
    };
    ({ findMetered } = createDockerMeteredContainers(connection, corner.instance));
  });
  afterAll(async () => await corner?.remove());

  async function open(id: string): Promise<{ container: MeteredContainer; byDocker: Meter; byFiles: Meter }> {
    const container = await findMetered(id);
    if (!container) throw new Error('the container does not run');
    const options = { gate: <Answer>(call: () => Promise<Answer>) => call(), maxWorkers: 50 };
    const source = createDockerStatsSource(docker, { ...options, deadlineMs: () => DEADLINES_MS[deadline] });
    const [byDocker, byFiles] = [source.open(container), createCgroupSource().open(container)];
    if (!byDocker || !byFiles) throw new Error('the container cannot be measured');
    return { container, byDocker, byFiles };
  }

  async function read(meter: Meter): Promise<Reading> {
    const reading = await meter.read(signal);
    if (!reading) throw new Error('the container has ended');
    return reading;
  }

  it('are taken by calls where one does not wait for a collector, or there is time for it; else by a stream', async () => {
    const id = await startReplica(corner, { replicaId: 'r1-0', command: ['sleep', '3600'] });
    const { byDocker } = await open(id);
    const answerMs = await oneShotMs(corner, id);
    asked.length = 0;
    for (const _ of [1, 2, 3]) await read(byDocker);
    byDocker.close();
    const stats = asked.filter((what) => what.includes('the stats of'));
    if (answerMs < PROMPT_MS || deadline === 'usual')
      expect(stats).toEqual(Array(3).fill(`read the stats of container ${id}`));
    else expect(stats).toEqual([`follow the stats of container ${id}`]);
  });

  it('say what the kernel counted, to the last unit', async () => {
    const peer = await startReplica(corner, {
      replicaId: 'r1-1',
      command: ['httpd', '-f', '-p', '8080', '-h', '/bin'],
    });
    const command = workload(await addressOf(corner, peer));
    const id = await startReplica(corner, { replicaId: 'r1-2', command });
    const { byDocker, byFiles } = await open(id);
    await eventually(async () => {
      const { counters } = await read(byDocker);
      expect(counters.networkReceivePackets).toBeGreaterThan(100);
      expect(counters.cpuNanos).toBeGreaterThan(100_000_000);
    });
    await corner.client.getContainer(id).kill({ signal: 'SIGUSR1' });
    await eventually(async () => {
      const before = await read(byFiles);
      const shown = await read(byDocker);
      expect(comparable(shown)).toEqual(comparable(before));
      expect(shown.memoryLimitBytes).toBe(before.memoryLimitBytes);
      expect(shown.pids).toBe(before.pids);
      // Nothing was counted while both looked.
      expect((await read(byFiles)).counters).toEqual(before.counters);
    });
    for (const meter of [byDocker, byFiles]) meter.close();
  });

  it('are dated by when the kernel showed them', async () => {
    const id = await startReplica(corner, { replicaId: 'r1-3', command: BUSY, cpuCores: BUSY_CORES });
    const { container, byDocker } = await open(id);
    const recorder = recordKernel(container);
    try {
      await read(byDocker);
      // On a machine that others want too, the daemon may be halted between its clock and the kernel's counter.
      await eventually(async () => {
        const { atMs, counters } = await read(byDocker);
        await eventually(() => expect(recorder.readings.at(-1)?.atMs).toBeGreaterThan(atMs + DATE_TOLERANCE_MS));
        const around = recorder.readings.filter((one) => Math.abs(one.atMs - atMs) <= DATE_TOLERANCE_MS);
        expect(around.length).toBeGreaterThan(0);
        expect(counters.cpuNanos).toBeGreaterThanOrEqual(around[0]?.cpuNanos ?? Number.NaN);
        expect(counters.cpuNanos).toBeLessThanOrEqual(around.at(-1)?.cpuNanos ?? Number.NaN);
      });
    } finally {
      recorder.stop();
      byDocker.close();
    }
  });
});

/** All but kills for memory, which Docker does not tell. */
function comparable({ counters }: Reading): Omit<Counters, 'oomKills'> {
  const { oomKills: _, ...rest } = counters;
  return rest;
}

/** How long an engine's one-shot answer takes, the middle of five: bare, whatever its version says. The first may meet the collector. */
async function oneShotMs({ client }: TestDocker, id: string): Promise<number> {
  const times: number[] = [];
  for (const _ of [1, 2, 3, 4, 5]) {
    const begunMs = performance.now();
    await client.getContainer(id).stats({ stream: false, 'one-shot': true });
    times.push(performance.now() - begunMs);
  }
  return percentile(times, 0.5);
}

async function addressOf({ client }: TestDocker, id: string): Promise<string> {
  const { NetworkSettings } = await client.getContainer(id).inspect();
  return NetworkSettings.Networks.bridge?.IPAddress ?? '';
}
