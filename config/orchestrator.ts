import { z } from 'zod';
import { placementVariables } from './placement.ts';
import { bindAddress, domain, durationMs, integer, list, logLevel, optionalInteger, url } from './variables.ts';

/** Where the Temporal server is, and the key of everything stored there. */
export const temporalVariables = z.object({
  TEMPORAL_ADDRESS: z.string().default('127.0.0.1:7233'),
  TEMPORAL_NAMESPACE: z.string().default('default'),
  PAYLOAD_KEY_FILE: z.string(),
});

/** Variables of the role `orchestrator`. */
export const orchestratorVariables = temporalVariables.extend(placementVariables.shape).extend({
  LOG_LEVEL: logLevel,
  SHUTDOWN_GRACE: durationMs('30s'),
  DATABASE_URL: url('postgres', 'postgresql'),
  /** As the owner of its tables. */
  METRICS_DATABASE_URL: url('postgres', 'postgresql').optional(),
  METRICS_MINUTES_RETENTION: durationMs('24h'),
  METRICS_HOURS_RETENTION: durationMs('9600h'),
  MASTER_KEY_FILE: z.string(),
  TRAEFIK_INTERNAL_URLS: z.string().default('http://127.0.0.1:7401'),
  DOMAIN: domain(),
  SNAPSHOTS_KEPT: integer({ min: 1, max: 1000, default: 7 }),
  WORKFLOW_CACHE_SIZE: integer({ min: 0, max: 10_000, default: 200 }),
  RETENTION_HOUR: integer({ min: 0, max: 23, default: 3 }),
  /** A rollback needs one to return to; more than 200 of each deployment nobody looks through. */
  RETENTION_KEEP_REVISIONS: integer({ min: 2, max: 200, default: 20 }),
  RETENTION_HISTORY: durationMs('2160h'),
  RETENTION_BUILD_LOGS: durationMs('720h'),
  RETENTION_IMAGE_AGE: durationMs('1h'),
  /** Where minutes of metrics are read, as a role that can only read; without it no alert looks at them. */
  METRICS_READER_DATABASE_URL: url('postgres', 'postgresql').optional(),
  /** Receivers of notifications on the platform's own network, as `host` or `host:port`. */
  ALERTS_ALLOWED_HOSTS: list(),
  /** PEM certificates that receivers are checked against in place of the machine's. */
  ALERTS_CA_FILE: z.string().optional(),
  BIND_ADDRESS: bindAddress(),
  /** Where this process' own counters are served as Prometheus text; nowhere without it. */
  METRICS_PORT: optionalInteger({ min: 1, max: 65_535 }),
  RETENTION_BUILD_CACHE_BYTES: optionalInteger({ min: 0, max: Number.MAX_SAFE_INTEGER }),
});
