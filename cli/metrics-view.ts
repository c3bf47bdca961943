import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { ContainerSample, StreamMetricsResponse } from '../gen/obiente/cloud/v1/metrics_pb.ts';
import { showBytes } from './quantities.ts';
import { sparkline } from './sparkline.ts';
import { type Column, table } from './table.ts';
import type { Terminal } from './terminal.ts';

/** Five minutes of samples each 5 s: as many as the platform keeps. */
const KEPT_SAMPLES = 60;
const SPARK_WIDTH = 20;

/** A replica that was not sampled for as long no longer runs. */
const GONE_AFTER_MS = 60_000;

/** The newest samples of each replica. */
export type SampleHistory = Map<string, ContainerSample[]>;

/** Adds samples and forgets what is too old; at most 60 a replica are kept. */
export function remember(history: SampleHistory, samples: readonly ContainerSample[], nowMs: number): void {
  for (const sample of samples) {
    const kept = history.get(sample.replicaId) ?? [];
    kept.push(sample);
    history.set(sample.replicaId, kept.slice(-KEPT_SAMPLES));
  }
  for (const [replicaId, kept] of history) {
    if (nowMs - takenAt(kept.at(-1)) > GONE_AFTER_MS) history.delete(replicaId);
  }
}

/** The table of a live view: a row a replica, with the course of CPU and memory. */
export function metricsTable(terminal: Terminal, history: SampleHistory): string {
  const rows = [...history.entries()].sort(([one], [other]) => one.localeCompare(other, 'en', { numeric: true }));
  const columns: readonly Column<(typeof rows)[number]>[] = [
    { heading: 'REPLICA', cell: ([replicaId]) => replicaId },
    { heading: 'CPU', cell: ([, kept]) => percent(kept.at(-1)?.cpuPercent), isNumber: true },
    {
      heading: '',
      cell: ([, kept]) =>
        sparkline(
          kept.map(({ cpuPercent = 0 }) => cpuPercent),
          { width: SPARK_WIDTH, ceiling: 1 },
        ).padEnd(SPARK_WIDTH),
      paint: (text) => terminal.paint.cyan(text),
    },
    { heading: 'MEMORY', cell: ([, kept]) => memory(kept.at(-1)), isNumber: true },
    {
      heading: '',
      cell: ([, kept]) =>
        sparkline(
          kept.map(({ memoryBytes }) => Number(memoryBytes)),
          {
            width: SPARK_WIDTH,
            ceiling: Number(kept.at(-1)?.memoryLimitBytes ?? 0n),
          },
        ).padEnd(SPARK_WIDTH),
      paint: (text) => terminal.paint.magenta(text),
    },
    {
      heading: 'NET IN/OUT',
      cell: ([, kept]) => pair(kept.at(-1), 'networkReceiveBytes', 'networkTransmitBytes'),
      isNumber: true,
    },
    { heading: 'DISK R/W', cell: ([, kept]) => pair(kept.at(-1), 'diskReadBytes', 'diskWriteBytes'), isNumber: true },
    { heading: 'PIDS', cell: ([, kept]) => String(kept.at(-1)?.pids ?? 0), isNumber: true },
  ];
  return table(terminal, columns, rows);
}

/** One sample as one line, for output that is no terminal. */
export function metricsLine(sample: ContainerSample): string {
  const { at, replicaId, cpuPercent, pids } = sample;
  const time = at === undefined ? '-' : timestampDate(at).toISOString();
  const network = pair(sample, 'networkReceiveBytes', 'networkTransmitBytes');
  const disk = pair(sample, 'diskReadBytes', 'diskWriteBytes');
  return `${time}  ${replicaId}  cpu ${percent(cpuPercent)}  memory ${memory(sample)}  net ${network}  disk ${disk}  pids ${pids}`;
}

/** What all replicas use together, and what is asked of them, as lines below the table. */
export function summaryLines({ totals, requests }: StreamMetricsResponse): readonly string[] {
  if (!totals) return [];
  const rate = (value: number | undefined): string => (value === undefined ? '-' : `${showBytes(value)}/s`);
  const network = `net ${rate(totals.networkReceiveRate)} / ${rate(totals.networkTransmitRate)}`;
  const disk = `disk ${rate(totals.diskReadRate)} / ${rate(totals.diskWriteRate)}`;
  const sums = `all ${totals.replicas}  cpu ${percent(totals.cpuPercent)}  memory ${showBytes(totals.memoryBytes)}  ${network}  ${disk}`;
  const missing = totals.missingReplicaIds.length > 0 ? [`missing: ${totals.missingReplicaIds.join(', ')}`] : [];
  if (requests.length === 0) return [sums, ...missing];
  const perSecond = requests.reduce((sum, { requestRate = 0 }) => sum + requestRate, 0);
  const failed = requests.reduce((sum, { status5xx }) => sum + status5xx, 0n);
  return [sums, ...missing, `requests ${perSecond.toFixed(1)}/s, ${failed} answered 5xx`];
}

function takenAt(sample: ContainerSample | undefined): number {
  return sample?.at === undefined ? Number.POSITIVE_INFINITY : timestampDate(sample.at).getTime();
}

function percent(value: number | undefined): string {
  return value === undefined ? '-' : `${value.toFixed(1)} %`;
}

function memory(sample: ContainerSample | undefined): string {
  if (sample === undefined) return '-';
  const limit = sample.memoryLimitBytes > 0n ? ` / ${showBytes(sample.memoryLimitBytes)}` : '';
  return `${showBytes(sample.memoryBytes)}${limit}`;
}

type Counter = 'networkReceiveBytes' | 'networkTransmitBytes' | 'diskReadBytes' | 'diskWriteBytes';

function pair(sample: ContainerSample | undefined, one: Counter, other: Counter): string {
  return sample === undefined ? '-' : `${showBytes(sample[one])} / ${showBytes(sample[other])}`;
}
