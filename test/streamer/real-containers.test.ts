import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCgroupSource } from '../../adapters/cgroup/cgroup-source.ts';
import { findFolders, parseMountInfo } from '../../adapters/cgroup/hierarchies.ts';
import { createDockerConnection } from '../../adapters/docker/connection.ts';
import { createDockerMeteredContainers } from '../../adapters/docker/metered-containers.ts';
import { createDockerStatsSource } from '../../adapters/docker/stats.ts';
import { countedSince, cpuPercentBetween } from '../../domain/metrics/counters.ts';
import type { MeteredContainer, Reading } from '../../domain/metrics/reading.ts';
import type { Meter, ReadingSource } from '../../streamer/ports.ts';
import { DOCKER_SOCKET, openTestDocker, type TestDocker } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { startReplica } from '../support/metered.ts';

const MEBIBYTE = 1024 * 1024;
const BUSY = ['sh', '-c', 'while :; do :; done'];
/** Holds 40 MiB of anonymous memory. The last command keeps the shell, which holds it, from becoming `sleep`. */
const HUNGRY = ['sh', '-c', 'x=$(head -c 41943040 /dev/zero | tr "\\0" x); sleep 3600; :'];
const IDLE = ['sleep', '3600'];

const signal = new AbortController().signal;

describe.each(['cgroup', 'docker'] as const)('real containers, read by %s', (kind) => {
  let corner: TestDocker;
  let source: ReadingSource;
  let findMetered: (id: string) => Promise<MeteredContainer | undefined>;

  beforeAll(async () => {
    corner = await openTestDocker();
    const connection = createDockerConnection({ socketPath: DOCKER_SOCKET, requestTimeoutMs: 30_000 });
    ({ findMetered } = createDockerMeteredContainers(connection, corner.instance));
    source =
      kind === 'cgroup'
        ? createCgroupSource()
        : createDockerStatsSource(connection, { gate: (call) => call(), maxWorkers: 50, deadlineMs: () => 4_500 });
  });

  afterAll(async () => await corner.remove());

  async function meterOf(id: string): Promise<Meter> {
    const container = await findMetered(id);
    const meter = container && source.open(container);
    if (!meter) throw new Error(`container ${id} cannot be measured`);
    return meter;
  }

  async function read(meter: Meter): Promise<Reading> {
    const reading = await meter.read(signal);
    if (!reading) throw new Error('the container has ended');
    return reading;
  }

  it('shows half a core for a busy loop limited to half a core', async () => {
    const meter = await meterOf(await startReplica(corner, { replicaId: 'r1-0', command: BUSY, cpuCores: 0.5 }));
    // Somebody else may have taken the cores during one window: the limit shows in a window in which nobody did.
    await eventually(async () => {
      const first = await read(meter);
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      const percent = cpuPercentBetween(first, await read(meter));
      expect(percent).toBeGreaterThan(47);
      expect(percent).toBeLessThan(53);
    });
    meter.close();
  });

  it('shows the memory that the kernel shows at the same moment, and the limit', async () => {
    const id = await startReplica(corner, { replicaId: 'r1-1', command: HUNGRY, memoryBytes: 256 * MEBIBYTE });
    const container = await findMetered(id);
    if (!container) throw new Error('the container does not run');
    const meter = await meterOf(id);
    await eventually(async () => expect((await read(meter)).memoryBytes).toBeGreaterThan(40 * MEBIBYTE));
    await eventually(async () => {
      const before = kernelMemory(container);
      const { memoryBytes, memoryLimitBytes } = await read(meter);
      expect(Math.abs(memoryBytes - before) / before).toBeLessThan(0.05);
      expect(memoryLimitBytes).toBe(256 * MEBIBYTE);
    });
    meter.close();
  });

  it('counts what comes over the network, and processes', async () => {
    const meter = await meterOf(await startReplica(corner, { replicaId: 'r1-2', command: IDLE }));
    await eventually(async () => {
      const { counters, pids } = await read(meter);
      expect(counters.networkReceiveBytes).toBeGreaterThan(0);
      expect(pids).toBe(1);
    });
    meter.close();
  });

  it('ends with its run, and counts the next run from zero', async () => {
    const id = await startReplica(corner, { replicaId: 'r1-3', command: BUSY, cpuCores: 0.5 });
    const meter = await meterOf(id);
    await eventually(async () => expect((await read(meter)).counters.cpuNanos).toBeGreaterThan(300_000_000));
    const last = await read(meter);
    await corner.client.getContainer(id).kill();
    await corner.client.getContainer(id).wait();
    if (kind === 'cgroup') await eventually(() => expect(meter.read(signal)).toBeUndefined());
    else expect(await meter.read(signal)).toBeUndefined();
    expect(await findMetered(id)).toBeUndefined();
    await corner.client.getContainer(id).start();
    const again = await meterOf(id);
    const next = await read(again);
    expect(next.incarnation).not.toBe(last.incarnation);
    expect(countedSince(last, next)).toEqual(next.counters);
    again.close();
  });
});

/** What `docker stats` and kubelet would compute, straight from the files. */
function kernelMemory({ id, pid }: MeteredContainer): number {
  const hierarchies = parseMountInfo(readFileSync('/proc/self/mountinfo', 'utf8'));
  const folders = findFolders(hierarchies, readFileSync(`/proc/${pid}/cgroup`, 'utf8'), id);
  if (!folders) throw new Error('no cgroup');
  const folder = folders.version === 1 ? folders.memory : folders.unified;
  const usage = readFileSync(join(folder, folders.version === 1 ? 'memory.usage_in_bytes' : 'memory.current'), 'utf8');
  const key = folders.version === 1 ? 'total_inactive_file' : 'inactive_file';
  const [, inactive = '0'] =
    new RegExp(`^${key} (\\d+)$`, 'm').exec(readFileSync(join(folder, 'memory.stat'), 'utf8')) ?? [];
  return Number(usage) - Number(inactive);
}
