import { Kysely, PostgresDialect } from 'kysely';
import { Pool } from 'pg';
import type { RowKind } from '../../domain/metrics/rows.ts';

/** Whose rows are. `node_id` alone for a node's own, with the deployment for requests, with all for a container. */
export interface MetricSeriesTable {
  readonly id: number;
  readonly kind: RowKind;
  readonly node_id: string;
  readonly deployment_id: string;
  readonly replica_id: string;
  readonly container_id: string;
  readonly created_at: Date;
}

/** What the kernel counted. `bigint` and `numeric` arrive as text, since numbers of JavaScript end at 2^53. */
interface CountedColumns {
  readonly cpu_nanos: string;
  readonly cpu_user_nanos: string;
  readonly cpu_system_nanos: string;
  readonly cpu_throttled_nanos: string;
  readonly network_receive_bytes: string;
  readonly network_transmit_bytes: string;
  readonly network_receive_packets: string;
  readonly network_transmit_packets: string;
  readonly disk_read_bytes: string;
  readonly disk_write_bytes: string;
  readonly disk_read_operations: string;
  readonly disk_write_operations: string;
  readonly oom_kills: string;
}

/** Of a container, by the minute. */
export interface ContainerMetricsTable extends CountedColumns {
  readonly series_id: number;
  readonly minute: Date;
  readonly memory_average_bytes: string;
  readonly memory_max_bytes: string;
  readonly memory_limit_bytes: string;
  readonly page_cache_bytes: string;
  readonly pids_max: string;
  readonly observed_ms: string;
  readonly samples: string;
}

/** Of a node, by the minute. */
export interface NodeMetricsTable {
  readonly series_id: number;
  readonly minute: Date;
  readonly cpu_busy_nanos: string;
  readonly cpu_total_nanos: string;
  readonly memory_used_bytes: string;
  readonly memory_total_bytes: string;
  readonly disk_used_bytes: string;
  readonly disk_total_bytes: string;
  readonly load1_hundredths: string;
  readonly pressure_cpu_micros: string | null;
  readonly pressure_memory_micros: string | null;
  readonly pressure_io_micros: string | null;
  readonly samples: string;
}

/** Of requests to a deployment at a node, by the minute. */
export interface RequestMetricsTable {
  readonly series_id: number;
  readonly minute: Date;
  readonly requests: string;
  readonly status_1xx: string;
  readonly status_2xx: string;
  readonly status_3xx: string;
  readonly status_4xx: string;
  readonly status_5xx: string;
  readonly bytes_in: string;
  readonly bytes_out: string;
  /** Each as text. */
  readonly latency_buckets: readonly string[];
  readonly latency_sum_micros: string;
}

/** Sums of a container's minutes, by the hour. */
export interface UsageHourlyTable extends CountedColumns {
  readonly series_id: number;
  readonly hour: Date;
  /** Σ average × observed time. */
  readonly memory_byte_millis: string;
  readonly memory_max_bytes: string;
  readonly memory_limit_bytes: string;
  readonly page_cache_bytes: string;
  readonly pids_max: string;
  readonly observed_ms: string;
  readonly samples: string;
  readonly minute_bits: string;
  readonly closed: boolean;
}

/** The tables as `migrations/` makes them. */
export interface MetricsSchema {
  metric_series: MetricSeriesTable;
  metric_writers: { role: string; node_id: string };
  container_metrics: ContainerMetricsTable;
  node_metrics: NodeMetricsTable;
  request_metrics: RequestMetricsTable;
  usage_hourly: UsageHourlyTable;
  usage_due: { series_id: number; hour: Date; changes: string };
}

/** The metrics database. `destroy()` closes its connections. */
export type MetricsDatabase = Kysely<MetricsSchema>;

/** A node writes one batch at a time; the second connection is there when the first has just broken. */
const MAX_CONNECTIONS = 2;

const CONNECT_TIMEOUT_MS = 5_000;

/** A batch takes milliseconds; a server that takes seconds is asked again later. */
const STATEMENT_TIMEOUT_MS = 10_000;

/** A frozen server does not end statements itself. */
const QUERY_TIMEOUT_MS = STATEMENT_TIMEOUT_MS + 1_000;

/** Opens the metrics database. Connects at the first query; a connection that broke is replaced at the next. */
export function openMetricsDatabase(url: string): MetricsDatabase {
  const pool = new Pool({
    connectionString: url,
    max: MAX_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'obiente-streamer',
  });
  // The pool has removed the idle connection that broke; whoever needs the next one gets a new one or the error.
  pool.on('error', () => undefined);
  // A connection that breaks between two statements tells nobody else, and unheard would end the process.
  pool.on('connect', (client) => void client.on('error', () => undefined));
  return new Kysely<MetricsSchema>({ dialect: new PostgresDialect({ pool }) });
}
