import { z } from 'zod';
import { identityVariables } from './identity.ts';
import { temporalVariables } from './orchestrator.ts';
import { placementVariables } from './placement.ts';
import { bindAddress, domain, durationMs, integer, list, logLevel, port, url } from './variables.ts';

/** Names between commas, without blanks, in the case that they are written in. */
function names() {
  return z
    .string()
    .default('')
    .transform((text) => text.split(',').flatMap((name) => name.trim() || []));
}

/** Variables of the role `api`. */
export const apiVariables = temporalVariables
  .extend({ ...identityVariables.shape, ...placementVariables.shape })
  .extend({
    LOG_LEVEL: logLevel,
    SHUTDOWN_GRACE: durationMs('30s'),
    OBIENTE_STATE_DIR: z.string().default('.obiente'),
    BIND_ADDRESS: bindAddress(),
    API_PORT: port(7400),
    DATABASE_URL: url('postgres', 'postgresql'),
    MASTER_KEY_FILE: z.string(),
    CONTROL_KEY_FILE: z.string(),
    NODE_JOIN_TOKEN_FILE: z.string(),
    OBIENTE_INSTANCE: z.string().regex(/^[a-z0-9]{8}$/, 'must have 8 characters of a-z and 0-9'),
    /** Where nodes that join reach Temporal; as the API itself unless it says otherwise. */
    JOIN_TEMPORAL_ADDRESS: z
      .string()
      .regex(/^[^\s/]+:\d{1,5}$/, 'must be host:port')
      .optional(),
    /** Where their streamers write minutes, as a role that can only insert; without it they have no streamer. */
    JOIN_METRICS_DATABASE_URL: url('postgres', 'postgresql').optional(),
    /** Where minutes and hours of metrics are read, as a role that can only read; without it only live ones are known. */
    METRICS_READER_DATABASE_URL: url('postgres', 'postgresql').optional(),
    METRICS_LIVE_RETENTION: durationMs('5m'),
    /** How long minutes are kept as a rule: older ranges are answered in hours. */
    METRICS_MINUTES_RETENTION: durationMs('24h'),
    /** How long hours are kept as a rule. */
    METRICS_HOURS_RETENTION: durationMs('9600h'),
    METRICS_SUBSCRIBER_BUFFER_SIZE: integer({ min: 1, max: 10_000, default: 100 }),
    METRICS_SUBSCRIBER_SLOW_THRESHOLD: durationMs('5s'),
    METRICS_SUBSCRIBER_CLEANUP_INTERVAL: durationMs('1m'),
    TRAEFIK_TOKEN_FILE: z.string(),
    CONTEXT_DIR: z.string().default('.obiente/contexts'),
    DOMAIN: domain(),
    /** How long requests under way get after a replica was taken out of its routes. */
    ROLLOUT_DRAIN: durationMs('10s'),
    /** Time from SIGTERM to SIGKILL of a replica that is removed. */
    ROLLOUT_STOP_GRACE: durationMs('10s'),
    PUBLIC_HTTP_PORT: port(8080),
    PUBLIC_HTTPS_PORT: port(8443),
    /** Origins of pages that may call the API. */
    CORS_ORIGINS: list(),
    /** Registries on the platform's own network that images may come from, as `host` or `host:port`. */
    API_ALLOWED_REGISTRIES: list(),
    /** Git servers on the platform's own network that sources may come from, as `host` or `host:port`. */
    API_ALLOWED_GIT_HOSTS: list(),
    /** Receivers of notifications on the platform's own network, as `host` or `host:port`. */
    ALERTS_ALLOWED_HOSTS: list(),
    /** Where certificates are looked at that the ingress serves, as `host:port`; without it nobody looks. */
    ALERTS_CERTIFICATE_ADDRESS: z
      .string()
      .regex(/^[^\s/]+:\d{1,5}$/, 'must be host:port')
      .optional(),
    /** Subjects, as the issuer knows them, of those who run the platform. */
    PLATFORM_OPERATORS: names(),
  });

/** What the role `api` is told. */
export type ApiConfig = z.infer<typeof apiVariables>;
