import type { ContainerStats } from 'dockerode';
import { sumInterfaces } from '../../domain/metrics/interfaces.ts';
import type { InterfaceCounts, MeteredContainer, Reading } from '../../domain/metrics/reading.ts';
import { type Clock, type ReadingSource, SYSTEM_CLOCK } from '../../streamer/ports.ts';
import { type DockerConnection, statusOf } from './connection.ts';

/** What stands between the streamer and a daemon in trouble: runs a call, or refuses it at once. */
export type Gate = <Answer>(call: () => Promise<Answer>) => Promise<Answer>;

/**
 * Creates the portable way of reading: one answer of Docker's stats API per look.
 *
 * Slow on old engines (before 26 even a one-shot answer waits a second for the daemon's own collector), and it costs
 * the daemon milliseconds of CPU per container, so it is for where the kernel's files cannot be read.
 */
export function createDockerStatsSource(
  docker: DockerConnection,
  { gate, clock = SYSTEM_CLOCK }: { gate: Gate; clock?: Clock },
): ReadingSource {
  return {
    open: (container) => ({
      read: (signal) => gate(() => readStats(docker, container, { clock, signal })),
      close: () => undefined,
    }),
  };
}

async function readStats(
  docker: DockerConnection,
  container: MeteredContainer,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<Reading | undefined> {
  try {
    const stats = await docker.call(
      `read the stats of container ${container.id}`,
      (abortSignal) => {
        const options = { stream: false as const, 'one-shot': true, abortSignal };
        return docker.client.getContainer(container.id).stats(options);
      },
      { signal },
    );
    const times = { atMs: clock.now(), clockMs: clock.monotonic() };
    return toReading(container.startedAt, times, stats);
  } catch (error) {
    if (statusOf(error) === 404 || statusOf(error) === 409) return undefined;
    throw error;
  }
}

/** A container that does not run answers 200 with zeros and no process. */
function toReading(
  incarnation: string,
  times: Pick<Reading, 'atMs' | 'clockMs'>,
  stats: ContainerStats,
): Reading | undefined {
  const pids = stats.pids_stats?.current ?? 0;
  if (pids === 0) return undefined;
  const { cpu_usage: cpu, throttling_data: throttling } = stats.cpu_stats;
  const interfaces = Object.fromEntries(Object.entries(stats.networks ?? {}).map(toInterface));
  const memory = stats.memory_stats;
  const cache: Readonly<Record<string, number>> = { ...memory.stats };
  const { io_service_bytes_recursive: bytes, io_serviced_recursive: operations } = stats.blkio_stats ?? {};
  return {
    incarnation,
    source: 'docker',
    ...times,
    counters: {
      ...sumInterfaces(interfaces),
      cpuNanos: cpu.total_usage,
      cpuUserNanos: cpu.usage_in_usermode,
      cpuSystemNanos: cpu.usage_in_kernelmode,
      cpuThrottledNanos: throttling?.throttled_time ?? 0,
      diskReadBytes: sumOf(bytes, 'read'),
      diskWriteBytes: sumOf(bytes, 'write'),
      diskReadOperations: sumOf(operations, 'read'),
      diskWriteOperations: sumOf(operations, 'write'),
      oomKills: 0,
    },
    interfaces,
    memoryBytes: Math.max(0, (memory.usage ?? 0) - (cache.total_inactive_file ?? cache.inactive_file ?? 0)),
    memoryLimitBytes: memory.limit ?? 0,
    pageCacheBytes: cache.total_cache ?? cache.file ?? 0,
    pids,
  };
}

type NetworkStats = NonNullable<ContainerStats['networks']>[string];

function toInterface([name, found]: [string, NetworkStats]): [string, InterfaceCounts] {
  return [
    name,
    {
      receiveBytes: found.rx_bytes,
      receivePackets: found.rx_packets,
      transmitBytes: found.tx_bytes,
      transmitPackets: found.tx_packets,
    },
  ];
}

/** Version 1 says `Read`, version 2 `read`; what a daemon does not tell (operations on version 2) is `null`. */
function sumOf(entries: readonly { op: string; value: number }[] | null | undefined, operation: string): number {
  return (entries ?? [])
    .filter((entry) => entry.op.toLowerCase() === operation)
    .reduce((total, { value }) => total + value, 0);
}
