import { rename, writeFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { LATENCY_BOUNDS_MS } from '../../domain/metrics/requests.ts';

/** What an ingress is started with. */
export interface IngressOptions {
  /** Address of the two public entry points. */
  readonly bindAddress: string;
  readonly httpPort: number;
  readonly httpsPort: number;
  /** Entry point for generation probes and metrics: on the loopback address, or on a private one. */
  readonly internalAddress: string;
  readonly internalPort: number;
  /** URL of `GET /traefik/config`. */
  readonly configUrl: string;
  /** Bearer token of that URL. */
  readonly token: string;
}

/** Requests under way get this long when the ingress stops. */
const LIFE_CYCLE = { requestAcceptGraceTimeout: '0s', graceTimeOut: '10s' };

/** No read timeout: uploads may be long. Idle connections of clients end after 3 min. */
const PUBLIC_TRANSPORT = { lifeCycle: LIFE_CYCLE, respondingTimeouts: { readTimeout: '0s', idleTimeout: '180s' } };

/**
 * Headers such as `X_Forwarded_For` are dropped: a backend that derives variables from header names would take them for
 * those that the ingress sets, and so believe the client.
 */
const PUBLIC_HTTP = { aliasHeadersStrategy: 'delete' };

/** A snapshot with 1,000 certificates is 750 kB. */
const MAX_SNAPSHOT_BYTES = 32 * 1024 * 1024;

/**
 * Traefik's static configuration: two public entry points, an internal one, and the API as only source of routes.
 *
 * The API holds each request until something changes, for 10 s at most, so the poll interval is no delay; the throttle
 * must be 0 or a second change within 2 s waits for as long. No API or dashboard of Traefik's, no other provider. Counters
 * are on the internal entry point only, and it has no address that is reached from outside.
 */
export function toStaticConfig(options: IngressOptions): object {
  return {
    global: { checkNewVersion: false, sendAnonymousUsage: false },
    log: { level: 'INFO', format: 'json' },
    entryPoints: {
      web: { address: `${options.bindAddress}:${options.httpPort}`, transport: PUBLIC_TRANSPORT, http: PUBLIC_HTTP },
      websecure: {
        address: `${options.bindAddress}:${options.httpsPort}`,
        transport: PUBLIC_TRANSPORT,
        http: PUBLIC_HTTP,
      },
      internal: { address: `${options.internalAddress}:${options.internalPort}` },
    },
    ping: { entryPoint: 'internal' },
    metrics: {
      prometheus: {
        entryPoint: 'internal',
        addEntryPointsLabels: true,
        addServicesLabels: true,
        addRoutersLabels: false,
        buckets: LATENCY_BOUNDS_MS.map((bound) => bound / 1000),
      },
    },
    serversTransport: {
      maxIdleConnsPerHost: 64,
      forwardingTimeouts: { dialTimeout: '3s', responseHeaderTimeout: '0s', idleConnTimeout: '3s' },
    },
    providers: {
      providersThrottleDuration: '0s',
      http: {
        endpoint: options.configUrl,
        pollInterval: '100ms',
        pollTimeout: '15s',
        maxResponseBodySize: MAX_SNAPSHOT_BYTES,
        headers: { Authorization: `Bearer ${options.token}` },
      },
    },
  };
}

/** Writes the static configuration, readable by its owner only, since the token is in it. */
export async function writeStaticConfig(file: string, options: IngressOptions): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, stringify(toStaticConfig(options)), { mode: 0o600 });
  await rename(temporary, file);
}
