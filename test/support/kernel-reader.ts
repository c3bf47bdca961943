import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCgroupSource } from '../../adapters/cgroup/cgroup-source.ts';
import { createDockerConnection } from '../../adapters/docker/connection.ts';
import { createDockerMeteredContainers } from '../../adapters/docker/metered-containers.ts';
import type { MeteredContainer, Reading } from '../../domain/metrics/reading.ts';
import { DOCKER_SOCKET, type TestDocker } from './docker.ts';

/** A running container whose counter files are open. */
export interface ReadContainer {
  readonly container: MeteredContainer;
  /** @throws once the container has ended. */
  read(): Promise<Reading>;
  /** Looks while none of its processes runs, so that nothing rises between two values. */
  still<Found>(look: () => Found | Promise<Found>): Promise<Found>;
  close(): void;
}

/** Opens the counter files of a container that runs. */
export async function readByKernel(corner: TestDocker, id: string): Promise<ReadContainer> {
  const connection = createDockerConnection({ socketPath: DOCKER_SOCKET, requestTimeoutMs: 30_000 });
  const container = await createDockerMeteredContainers(connection, corner.instance).findMetered(id);
  const meter = container && createCgroupSource().open(container);
  if (!meter) throw new Error(`container ${id} cannot be read by files`);
  return {
    container,
    read: async () => {
      const reading = await meter.read(AbortSignal.timeout(5_000));
      if (!reading) throw new Error('the container has ended');
      return reading;
    },
    still: async (look) => {
      await corner.client.getContainer(id).pause();
      try {
        return await look();
      } finally {
        await corner.client.getContainer(id).unpause();
      }
    },
    close: meter.close,
  };
}

const NANOS_PER_TICK = 10_000_000;

/** Processor time of one process as the kernel counts it for that process (proc(5), fields 14 and 15 of `stat`). */
export function processTimes(pid: number): { readonly userNanos: number; readonly systemNanos: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name before the bracket may hold blanks; behind it comes field 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { userNanos: Number(fields[11]) * NANOS_PER_TICK, systemNanos: Number(fields[12]) * NANOS_PER_TICK };
}

/** What the host's end of a container's `eth0` has counted, in the direction in which the container sees it. */
export function hostInterface(pid: number): Record<'receiveBytes' | 'transmitBytes' | 'receivePackets', number> {
  const folder = '/sys/class/net';
  const peer = readFileSync(join('/proc', String(pid), 'root', folder, 'eth0/iflink'), 'utf8');
  // Not everything there is an interface.
  const isPeer = (file: string): boolean => existsSync(file) && readFileSync(file, 'utf8') === peer;
  const name = readdirSync(folder).find((each) => isPeer(join(folder, each, 'ifindex')));
  if (name === undefined) throw new Error(`no interface of this host has the index ${peer.trim()}`);
  const count = (file: string): number => Number(readFileSync(join(folder, name, 'statistics', file), 'utf8'));
  return {
    receiveBytes: count('tx_bytes'),
    transmitBytes: count('rx_bytes'),
    receivePackets: count('tx_packets'),
  };
}
