import type { ContainerMetricsTable, UsageHourlyTable } from '../../adapters/timescale/metrics-database.ts';
import type { MetricsReader } from '../../adapters/timescale/metrics-reader.ts';
import { DomainError } from '../../domain/errors.ts';
import type { UseRow } from '../../domain/metrics/course.ts';
import { STEP_MS } from '../../domain/metrics/query.ts';
import type { RequestRow } from '../../domain/metrics/request-course.ts';
import type { StoredMetrics, StoredRange } from './query-metrics.ts';

/** Hours as new as this are added up of their minutes: the roll-up may not have seen the newest ones. */
const FRESH_MS = 2 * STEP_MS.hour;

/** Creates what a query reads, of the reader of the databases. */
export function createStoredMetrics(reader: MetricsReader, now: () => number): StoredMetrics {
  const listMinutes = async (range: StoredRange): Promise<readonly UseRow[]> => {
    const rows = await reader.listContainerMinutes(toFilter(range), range);
    return wanted(rows, range).map((row) => ({ ...toUse(row), atMs: row.minute.getTime() }));
  };
  return {
    listMinutes,
    listHours: async (range) => {
      const freshMs = Math.floor((now() - FRESH_MS) / STEP_MS.hour) * STEP_MS.hour;
      const old = { ...range, toMs: Math.min(range.toMs, freshMs) };
      const fresh = { ...range, fromMs: Math.max(range.fromMs, freshMs) };
      const [hours, minutes] = await Promise.all([
        old.fromMs < old.toMs ? reader.listUsageHours(toFilter(old), old) : [],
        fresh.fromMs < fresh.toMs ? listMinutes(fresh) : [],
      ]);
      return [...wanted(hours, range).map(toHour), ...minutes];
    },
    listRequestMinutes: async (range) => {
      const rows = await reader.listRequestMinutes(toFilter(range), range);
      return rows.map(toRequestRow);
    },
  };
}

/** For a control plane that is not told where the metrics are. @throws DATABASE_UNAVAILABLE, always. */
export function createNoStoredMetrics(): StoredMetrics {
  return { listMinutes: refuse, listHours: refuse, listRequestMinutes: refuse };
}

/** The same for usage. @throws DATABASE_UNAVAILABLE, always. */
export function createNoStoredUsage(): Pick<MetricsReader, 'listMonthlyUsage'> {
  return { listMonthlyUsage: refuse };
}

async function refuse(): Promise<never> {
  throw new DomainError('DATABASE_UNAVAILABLE', 'this control plane does not know a metrics database', {
    hint: 'Set METRICS_READER_DATABASE_URL of the API; live metrics work without it.',
  });
}

function toFilter({ deploymentId, replicaIds }: StoredRange) {
  const [only, ...others] = replicaIds ?? [];
  return { deploymentIds: [deploymentId], ...(only !== undefined && others.length === 0 ? { replicaId: only } : {}) };
}

function wanted<Row extends { readonly replica_id: string }>(rows: readonly Row[], { replicaIds }: StoredRange) {
  return replicaIds ? rows.filter(({ replica_id }) => replicaIds.includes(replica_id)) : rows;
}

type Counted = Pick<ContainerMetricsTable, 'memory_max_bytes' | 'pids_max' | 'observed_ms'> & {
  readonly replica_id: string;
} & Pick<
    UsageHourlyTable,
    | 'cpu_nanos'
    | 'cpu_throttled_nanos'
    | 'network_receive_bytes'
    | 'network_transmit_bytes'
    | 'disk_read_bytes'
    | 'disk_write_bytes'
  >;

function toUse(row: Counted & { readonly memory_average_bytes: string }): Omit<UseRow, 'atMs'> {
  return {
    replicaId: row.replica_id,
    observedMs: Number(row.observed_ms),
    cpuNanos: Number(row.cpu_nanos),
    cpuThrottledNanos: Number(row.cpu_throttled_nanos),
    memoryAverageBytes: Number(row.memory_average_bytes),
    memoryMaxBytes: Number(row.memory_max_bytes),
    networkReceiveBytes: Number(row.network_receive_bytes),
    networkTransmitBytes: Number(row.network_transmit_bytes),
    diskReadBytes: Number(row.disk_read_bytes),
    diskWriteBytes: Number(row.disk_write_bytes),
    pids: Number(row.pids_max),
  };
}

function toHour(row: Counted & Pick<UsageHourlyTable, 'hour' | 'memory_byte_millis'>): UseRow {
  const average = Number(row.memory_byte_millis) / Math.max(1, Number(row.observed_ms));
  return { ...toUse({ ...row, memory_average_bytes: String(average) }), atMs: row.hour.getTime() };
}

type StoredRequests = Awaited<ReturnType<MetricsReader['listRequestMinutes']>>[number];

function toRequestRow(row: StoredRequests): RequestRow {
  return {
    atMs: row.minute.getTime(),
    requests: Number(row.requests),
    status1xx: Number(row.status_1xx),
    status2xx: Number(row.status_2xx),
    status3xx: Number(row.status_3xx),
    status4xx: Number(row.status_4xx),
    status5xx: Number(row.status_5xx),
    bytesIn: Number(row.bytes_in),
    bytesOut: Number(row.bytes_out),
    latencyBuckets: row.latency_buckets.map(Number),
    latencySumMicros: Number(row.latency_sum_micros),
  };
}
