import { cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createHostSource } from '../../adapters/cgroup/host-files.ts';
import { countedSince } from '../../domain/metrics/counters.ts';
import type { NodeSource } from '../../streamer/ports.ts';
import { whatPrints } from '../support/container-exec.ts';
import { eventually } from '../support/eventually.ts';
import { type ReadContainer, readByKernel } from '../support/kernel-reader.ts';
import { startReplica } from '../support/metered.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { tell } from '../support/told.ts';

const MEBIBYTE = 1024 * 1024;
const NANOS_PER_MS = 1_000_000;
const WINDOW_MS = 5_000;
const IDLE = ['sleep', '3600'];
/** Twice as many loops as there are processors: half of them wait at any moment. */
const CROWD = ['sh', '-c', 'for i in 1 2 3 4; do (while :; do :; done) & done; wait'];
/** Holds 40 MiB of anonymous memory. The last command keeps the shell, which holds it, from becoming `sleep`. */
const HUNGRY = ['sh', '-c', 'x=$(head -c 41943040 /dev/zero | tr "\\0" x); sleep 3600; :'];

/** Here nothing else runs, so what a container does is what the whole host shows. */
describe('the files of a host of which one container has everything', () => {
  const docker = useTestDocker();
  let host: NodeSource;

  beforeAll(() => {
    host = createHostSource({ dockerFolder: async () => (await docker.corner.client.info()).DockerRootDir });
  });
  afterAll(() => host.close());
  afterEach(async () => {
    const { client, listContainers } = docker.corner;
    for (const id of await listContainers()) await client.getContainer(id).remove({ force: true, v: true });
  });

  async function start(command: readonly string[], memoryBytes?: number): Promise<ReadContainer> {
    const options = { replicaId: 'r1-0', command, ...(memoryBytes === undefined ? {} : { memoryBytes }) };
    return await readByKernel(docker.corner, await startReplica(docker.corner, options));
  }

  it('show all processors busy with it, and processes that wait for them', async ({ task }) => {
    const reader = await start(CROWD);
    await eventually(async () => expect((await reader.read()).pids).toBe(5));
    const [before, ours] = [host.read(), await reader.read()];
    await delay(WINDOW_MS);
    const [oursAfter, after] = [await reader.read(), host.read()];
    const busy = after.counters.cpuBusyNanos - before.counters.cpuBusyNanos;
    const total = after.counters.cpuTotalNanos - before.counters.cpuTotalNanos;
    const { cpuNanos } = countedSince(ours, oursAfter);
    const elapsedMs = after.atMs - before.atMs;
    // The kernel counts ticks here, and those are lost in which the emulator itself had to wait.
    const share = total / NANOS_PER_MS / (elapsedMs * cpus().length);
    expect(share).toBeGreaterThan(0.25);
    expect(share).toBeLessThan(1.1);
    expect(busy / total).toBeGreaterThan(0.9);
    expect(cpuNanos / busy).toBeGreaterThan(0.8);
    const waited = Number(after.counters.pressureCpuMicros) - Number(before.counters.pressureCpuMicros);
    expect(waited / 1000).toBeGreaterThan(elapsedMs / 2);
    expect(waited / 1000).toBeLessThan(elapsedMs * 1.1);
    tell(task, cpuNanos / NANOS_PER_MS, busy / NANOS_PER_MS, 'ms');
    reader.close();
  });

  it('show the memory that it holds', async ({ task }) => {
    const before = host.read();
    const reader = await start(HUNGRY);
    await eventually(async () => {
      const { memoryBytes } = await reader.read();
      const grown = host.read().memoryUsedBytes - before.memoryUsedBytes;
      expect(memoryBytes).toBeGreaterThan(40 * MEBIBYTE);
      expect(grown).toBeGreaterThan(memoryBytes * 0.8);
      expect(grown).toBeLessThan(memoryBytes + 60 * MEBIBYTE);
      tell(task, grown, memoryBytes, 'bytes');
    });
    reader.close();
  });

  it('show the disk filling by what it writes, and the wait for that', async ({ task }) => {
    const reader = await start(IDLE);
    host.read();
    // The disk is asked beside the rest: the look after the next shows it as it is now.
    const before = await eventually(() => {
      const { diskUsedBytes, ...rest } = host.read();
      expect(diskUsedBytes).toBeGreaterThan(0);
      return { diskUsedBytes, ...rest };
    });
    const bytes = 32 * MEBIBYTE;
    const write = ['dd', 'if=/dev/zero', 'of=/data/file', 'bs=64k', 'count=512', 'oflag=direct'];
    await whatPrints(docker.corner.client, reader.container.id, write);
    await eventually(() => {
      const after = host.read();
      const grown = after.diskUsedBytes - before.diskUsedBytes;
      expect(grown).toBeGreaterThanOrEqual(bytes);
      expect(grown).toBeLessThan(bytes + 8 * MEBIBYTE);
      expect(Number(after.counters.pressureIoMicros)).toBeGreaterThan(Number(before.counters.pressureIoMicros));
      tell(task, grown, bytes, 'bytes');
    });
    reader.close();
  });

  it('show the wait for memory of a container at its limit', async ({ task }) => {
    const before = Number(host.read().counters.pressureMemoryMicros);
    // A file three times as large as its memory, over and over: what is read again had just been taken away.
    const round = 'dd if=/data/file of=/dev/null bs=1M';
    const again = `dd if=/dev/zero of=/data/file bs=1M count=96; while :; do ${round}; done`;
    const reader = await start(['sh', '-c', again], 32 * MEBIBYTE);
    await eventually(() => {
      const waited = Number(host.read().counters.pressureMemoryMicros) - before;
      expect(waited).toBeGreaterThan(1_000);
      tell(task, waited, 1_000, 'µs at least');
    });
    reader.close();
  });
});
