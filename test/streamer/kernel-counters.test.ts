import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { countedSince } from '../../domain/metrics/counters.ts';
import { bridgeGateway } from '../support/bridge-gateway.ts';
import { whatPrints } from '../support/container-exec.ts';
import { eventually } from '../support/eventually.ts';
import { hostInterface, processTimes, type ReadContainer, readByKernel } from '../support/kernel-reader.ts';
import { startReplica } from '../support/metered.ts';
import { useTestDocker } from '../support/test-docker.ts';
import { tell } from '../support/told.ts';

const MEBIBYTE = 1024 * 1024;
const NANOS_PER_MS = 1_000_000;
const IDLE = ['sleep', '3600'];
const BUSY = ['sh', '-c', 'while :; do :; done'];
/** Has the kernel clear memory, over and over. */
const ASKING = ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1M'];
/** Processor time that a comparison is made over. */
const LONG_NANOS = 1_500 * NANOS_PER_MS;
/** A process's own times are whole ticks of 10 ms, each of two looks rounded. */
const ROUNDED_NANOS = 60 * NANOS_PER_MS;

/** Each figure is held against something else that counts or knows the same: the process, the other end, the size written. */
describe('what the files of a container count', () => {
  const docker = useTestDocker();
  const opened: ReadContainer[] = [];
  // A container that is busy would take the processors of the next one.
  afterEach(async () => {
    for (const { container, close } of opened.splice(0)) {
      close();
      await docker.corner.client.getContainer(container.id).remove({ force: true, v: true });
    }
  });

  async function start(options: Omit<Parameters<typeof startReplica>[1], 'replicaId'>): Promise<ReadContainer> {
    const id = await startReplica(docker.corner, { replicaId: `r1-${opened.length}`, ...options });
    const reader = await readByKernel(docker.corner, id);
    opened.push(reader);
    return reader;
  }

  const run = ({ container }: ReadContainer, ...command: string[]) =>
    whatPrints(docker.corner.client, container.id, command);

  it.for([
    ['a loop of its own', BUSY, 'userNanos'],
    ['asking the kernel', ASKING, 'systemNanos'],
  ] as const)('is the processor time that its process has: %s', async ([, command, mostly], { task }) => {
    const { container, read, still } = await start({ command: [...command] });
    const look = () => still(async () => ({ reading: await read(), times: processTimes(container.pid) }));
    const first = await look();
    const enough = first.reading.counters.cpuNanos + LONG_NANOS;
    await eventually(async () => expect((await read()).counters.cpuNanos).toBeGreaterThan(enough));
    const last = await look();
    const counted = countedSince(first.reading, last.reading);
    const user = last.times.userNanos - first.times.userNanos;
    const system = last.times.systemNanos - first.times.systemNanos;
    const total = user + system;
    expect(Math.abs(counted.cpuNanos - total)).toBeLessThan(ROUNDED_NANOS);
    // What is whose is told by samples, which the kernel takes of the one and of the other.
    expect(Math.abs(counted.cpuUserNanos - user)).toBeLessThan(total * 0.3 + ROUNDED_NANOS);
    expect(Math.abs(counted.cpuSystemNanos - system)).toBeLessThan(total * 0.3 + ROUNDED_NANOS);
    const share = mostly === 'userNanos' ? counted.cpuUserNanos : counted.cpuSystemNanos;
    expect(share / counted.cpuNanos).toBeGreaterThan(0.5);
    tell(task, counted.cpuNanos / NANOS_PER_MS, total / NANOS_PER_MS, 'ms');
  });

  it('is the time in which the limit held a process back: what it wanted and did not get', async ({ task }) => {
    const { read } = await start({ command: BUSY, cpuCores: 0.2 });
    // It wants one core all the time. Where others had the cores meanwhile, it waited for them and not for its limit.
    await eventually(async () => {
      const first = await read();
      await delay(3_000);
      const last = await read();
      const { cpuNanos, cpuThrottledNanos } = countedSince(first, last);
      const wantedMs = last.clockMs - first.clockMs;
      const toldMs = (cpuNanos + cpuThrottledNanos) / NANOS_PER_MS;
      expect(cpuThrottledNanos).toBeGreaterThan(cpuNanos);
      expect(toldMs / wantedMs).toBeGreaterThan(0.6);
      expect(toldMs / wantedMs).toBeLessThan(1.1);
      tell(task, toldMs, wantedMs, 'ms');
    });
  });

  it('is the size of a file that was written as page cache, and not as memory in use', async ({ task }) => {
    const reader = await start({ command: IDLE });
    const before = await reader.read();
    const bytes = 24 * MEBIBYTE;
    await run(reader, 'dd', 'if=/dev/zero', 'of=/data/file', 'bs=1M', 'count=24', 'conv=fsync');
    await eventually(async () => {
      const after = await reader.read();
      const cached = after.pageCacheBytes - before.pageCacheBytes;
      expect(Math.abs(cached - bytes)).toBeLessThan(2 * MEBIBYTE);
      expect(after.memoryBytes - before.memoryBytes).toBeLessThan(8 * MEBIBYTE);
      tell(task, cached, bytes, 'bytes');
    });
  });

  it('is each process that was killed at the memory limit, while the container runs on', async ({ task }) => {
    const reader = await start({ command: IDLE, memoryBytes: 64 * MEBIBYTE });
    expect(await reader.read()).toMatchObject({ memoryLimitBytes: 64 * MEBIBYTE, counters: { oomKills: 0 } });
    for (const _ of [1, 2, 3]) await run(reader, 'dd', 'if=/dev/zero', 'of=/dev/null', 'bs=256M', 'count=1');
    await eventually(async () => expect((await reader.read()).counters.oomKills).toBe(3));
    expect((await docker.corner.client.getContainer(reader.container.id).inspect()).State.Running).toBe(true);
    tell(task, 3, 3, 'kills');
  });

  it('is no memory limit as none, and every process', async ({ task }) => {
    const four = 'for i in 1 2 3 4; do sleep 3600 & done; wait';
    const reader = await start({ command: ['sh', '-c', four], memoryBytes: 0 });
    await eventually(async () => expect(await reader.read()).toMatchObject({ memoryLimitBytes: 0, pids: 5 }));
    tell(task, 5, 5, 'processes');
  });

  it('is what the other end of its network has counted, and what was sent at least', async ({ task }) => {
    const reader = await start({ command: IDLE });
    const [down, up] = [1_000_000, 200_000];
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined).resume();
      socket.end('x'.repeat(down));
    });
    server.listen(0, '0.0.0.0');
    await once(server, 'listening');
    const address = `${await bridgeGateway(docker.corner.client)} ${(server.address() as AddressInfo).port}`;
    const before = await reader.read();
    try {
      await run(reader, 'sh', '-c', `head -c ${up} /dev/zero | nc ${address} | wc -c`);
      await eventually(async () => {
        const after = await reader.read();
        const { receiveBytes, transmitBytes, receivePackets } = hostInterface(reader.container.pid);
        expect(after.counters).toMatchObject({
          ...{ networkReceiveBytes: receiveBytes, networkTransmitBytes: transmitBytes },
          networkReceivePackets: receivePackets,
        });
        const counted = countedSince(before, after);
        expect(counted.networkReceiveBytes).toBeGreaterThan(down);
        expect(counted.networkTransmitBytes).toBeGreaterThan(up);
        tell(task, after.counters.networkReceiveBytes, receiveBytes, 'bytes');
      });
    } finally {
      server.close();
    }
  });
});
