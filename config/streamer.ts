import { z } from 'zod';
import { bindAddress, durationMs, integer, logLevel, optionalInteger, port, url } from './variables.ts';

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
  METRICS_COLLECTION_INTERVAL: durationMs('5s'),
  METRICS_STORAGE_INTERVAL: durationMs('60s'),
  METRICS_LIVE_RETENTION: durationMs('5m'),
  METRICS_MAX_WORKERS: integer({ min: 1, max: 1_000, default: 50 }),
  /** 13 columns a row, and a statement has 65,535 parameters at most. */
  METRICS_BATCH_SIZE: integer({ min: 1, max: 5_000, default: 100 }),
  METRICS_MAX_LIVE_PER_DEPLOYMENT: integer({ min: 1, max: 100_000, default: 1_000 }),
  METRICS_MAX_PREVIOUS_STATS: integer({ min: 1, max: 1_000_000, default: 10_000 }),
  METRICS_RETRY_MAX_RETRIES: integer({ min: 1, max: 100, default: 5 }),
  METRICS_RETRY_INTERVAL: durationMs('1m'),
  METRICS_RETRY_MAX_QUEUE_SIZE: integer({ min: 1, max: 100_000, default: 10_000 }),
  METRICS_DOCKER_API_TIMEOUT: durationMs('10s'),
  METRICS_CIRCUIT_BREAKER_FAILURE_THRESHOLD: integer({ min: 1, max: 1_000, default: 5 }),
  METRICS_CIRCUIT_BREAKER_COOLDOWN: durationMs('1m'),
  METRICS_CIRCUIT_BREAKER_HALFOPEN_MAX: integer({ min: 1, max: 1_000, default: 3 }),
  METRICS_HEALTH_CHECK_INTERVAL: durationMs('30s'),
  METRICS_HEALTH_CHECK_FAILURE_THRESHOLD: integer({ min: 1, max: 1_000, default: 3 }),
  METRICS_SUBSCRIBER_BUFFER_SIZE: integer({ min: 1, max: 10_000, default: 100 }),
  METRICS_SUBSCRIBER_SLOW_THRESHOLD: durationMs('5s'),
});

/** What the role `streamer` is told. */
export type StreamerConfig = z.infer<typeof streamerVariables>;
