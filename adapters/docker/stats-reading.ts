import type { ContainerStats } from 'dockerode';
import { sumInterfaces } from '../../domain/metrics/interfaces.ts';
import type { InterfaceCounts, Reading } from '../../domain/metrics/reading.ts';
import type { Clock } from '../../streamer/ports.ts';

/**
 * What an answer of the stats API says. Two things it does not tell: kills for memory, and on version 2 of cgroups how many
 * operations the disks did; both stay 0.
 *
 * @returns `undefined` of a container that does not run: it answers 200 with zeros and no process.
 */
export function toReading(incarnation: string, clock: Clock, stats: ContainerStats): Reading | undefined {
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
    ...timesOf(stats, clock),
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

/** An answer that is older than this, or from the future, is of a clock that is not ours. */
const OLDEST_ANSWER_MS = 10_000;

/** When the daemon read what it answers with: its collector may have done that a second or two before. */
function timesOf({ read }: ContainerStats, clock: Clock): Pick<Reading, 'atMs' | 'clockMs'> {
  const [atMs, clockMs] = [clock.now(), clock.monotonic()];
  const ageMs = atMs - Date.parse(String(read));
  const known = ageMs >= 0 && ageMs <= OLDEST_ANSWER_MS ? ageMs : 0;
  return { atMs: atMs - known, clockMs: clockMs - known };
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
