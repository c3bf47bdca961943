import { Kysely, PostgresDialect } from 'kysely';
import { Pool } from 'pg';

/** The tables as `migrations/` makes them. */
export interface MetricsSchema {
  container_metrics: {
    container_id: string;
    /** Start of the minute. */
    minute: Date;
    deployment_id: string;
    replica_id: string;
    node_id: string;
    cpu_nanos: number;
    memory_average_bytes: number;
    memory_max_bytes: number;
    network_receive_bytes: number;
    network_transmit_bytes: number;
    disk_read_bytes: number;
    disk_write_bytes: number;
    samples: number;
  };
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
