import type { ContainerStats } from 'dockerode';
import type { MeteredContainer, Reading } from '../../domain/metrics/reading.ts';
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
  const networks = Object.values(stats.networks ?? {});
  const memory = stats.memory_stats;
  const cache: Readonly<Record<string, number>> = { ...memory.stats };
  return {
    incarnation,
    source: 'docker',
    ...times,
    counters: {
      cpuNanos: stats.cpu_stats.cpu_usage.total_usage,
      networkReceiveBytes: sum(networks.map((network) => network.rx_bytes)),
      networkTransmitBytes: sum(networks.map((network) => network.tx_bytes)),
      diskReadBytes: diskBytes(stats, 'read'),
      diskWriteBytes: diskBytes(stats, 'write'),
    },
    memoryBytes: Math.max(0, (memory.usage ?? 0) - (cache.total_inactive_file ?? cache.inactive_file ?? 0)),
    memoryLimitBytes: memory.limit ?? 0,
    pids,
  };
}

function diskBytes(stats: ContainerStats, operation: 'read' | 'write'): number {
  const entries = stats.blkio_stats?.io_service_bytes_recursive ?? [];
  return sum(entries.filter((entry) => entry.op.toLowerCase() === operation).map((entry) => entry.value));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
