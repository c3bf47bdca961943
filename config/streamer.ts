import { z } from 'zod';
import {
  bindAddress,
  durationMs,
  integer,
  logLevel,
  optionalInteger,
  port,
  privateUrl,
  sizeBytes,
  url,
} from './variables.ts';

/** Variables of the role `streamer`. */
export const streamerVariables = z.object({
  /** Where this process' own counters are served as Prometheus text; nowhere without it. */
  METRICS_PORT: optionalInteger({ min: 1, max: 65_535 }),
  LOG_LEVEL: logLevel,
  OBIENTE_INSTANCE: z.string().regex(/^[a-z0-9]{8}$/, 'must be 8 of a-z and 0-9'),
  OBIENTE_STATE_DIR: z.string().default('.obiente'),
  NODE_KEY_DIR: z.string(),
  BIND_ADDRESS: bindAddress(),
  STREAMER_GATEWAY_PORT: port(7411),
  DOCKER_SOCKET: z.string().default('/var/run/docker.sock'),
  METRICS_DATABASE_URL: url('postgres', 'postgresql'),
  METRICS_FALLBACK_DATABASE_URL: url('postgres', 'postgresql').optional(),
  /** Where this node's ingress tells its counters, if it has one: its internal entry point. */
  METRICS_INGRESS_URL: privateUrl().optional(),
  METRICS_COLLECTION_INTERVAL: durationMs('5s'),
  METRICS_STORAGE_INTERVAL: durationMs('60s'),
  METRICS_LIVE_RETENTION: durationMs('5m'),
  METRICS_MAX_WORKERS: integer({ min: 1, max: 1_000, default: 50 }),
  /** A row is in one statement with its batch, and the database takes 20,000 at most. */
  METRICS_BATCH_SIZE: integer({ min: 1, max: 5_000, default: 100 }),
  METRICS_MAX_LIVE_PER_DEPLOYMENT: integer({ min: 1, max: 100_000, default: 1_000 }),
  METRICS_MAX_PREVIOUS_STATS: integer({ min: 1, max: 1_000_000, default: 10_000 }),
  METRICS_RETRY_MAX_RETRIES: integer({ min: 1, max: 100, default: 5 }),
  METRICS_RETRY_INTERVAL: durationMs('1m'),
  METRICS_SPOOL_MAX_BYTES: sizeBytes('256MiB'),
  METRICS_DRAIN_ROWS_PER_SECOND: integer({ min: 1, max: 1_000_000, default: 1_000 }),
  METRICS_RETRY_MAX_QUEUE_SIZE: integer({ min: 1, max: 100_000, default: 10_000 }),
  METRICS_DOCKER_API_TIMEOUT: durationMs('10s'),
  METRICS_DOCKER_RETRY_MAX: integer({ min: 0, max: 100, default: 3 }),
  METRICS_DOCKER_BACKOFF_INITIAL: durationMs('1s'),
  METRICS_DOCKER_BACKOFF_MAX: durationMs('30s'),
  METRICS_CIRCUIT_BREAKER_FAILURE_THRESHOLD: integer({ min: 1, max: 1_000, default: 5 }),
  METRICS_CIRCUIT_BREAKER_COOLDOWN: durationMs('1m'),
  METRICS_CIRCUIT_BREAKER_HALFOPEN_MAX: integer({ min: 1, max: 1_000, default: 3 }),
  METRICS_HEALTH_CHECK_INTERVAL: durationMs('30s'),
  METRICS_HEALTH_CHECK_FAILURE_THRESHOLD: integer({ min: 1, max: 1_000, default: 3 }),
  METRICS_SUBSCRIBER_BUFFER_SIZE: integer({ min: 1, max: 10_000, default: 100 }),
  METRICS_SUBSCRIBER_SLOW_THRESHOLD: durationMs('5s'),
  /** How often subscribers who take nothing are looked for, and how long one may be slow before he is closed. */
  METRICS_SUBSCRIBER_CLEANUP_INTERVAL: durationMs('1m'),
});

/** What the role `streamer` is told. */
export type StreamerConfig = z.infer<typeof streamerVariables>;
