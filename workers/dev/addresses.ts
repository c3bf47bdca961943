import type { DevConfig } from '../../config/dev.ts';
import type { Installation } from './installation.ts';
import { readSecret } from './keys.ts';
import type { WantedPort } from './ports.ts';

/** Everything but what people reach is on the loopback address. */
export const LOOPBACK = '127.0.0.1';

/** Roles and names of the two databases. */
export const CONTROL_DATABASE = 'obiente';
export const METRICS_DATABASE = 'obiente_metrics';

/** Role of the streamers, in both databases: it can add rows of metrics and nothing else. */
export const METRICS_WRITER = 'obiente_metrics_writer';

/** Role of the API in the metrics database: it can read them. */
export const METRICS_READER = 'obiente_metrics_reader';

/** Addresses at which the parts of a platform reach each other, and people reach it. */
export interface Addresses {
  readonly api: string;
  readonly issuer: string;
  readonly temporal: string;
  readonly temporalUi: string;
  readonly traefikInternal: string;
  readonly nodeGateway: string;
  readonly streamerGateway: string;
  /** Of an application called `<name>`. */
  readonly applications: string;
}

/** The addresses that follow from the ports. */
export function toAddresses(config: DevConfig): Addresses {
  const local = (port: number): string => `http://${LOOPBACK}:${port}`;
  return {
    api: local(config.API_PORT),
    issuer: local(config.OIDC_PORT),
    temporal: `${LOOPBACK}:${config.TEMPORAL_PORT}`,
    temporalUi: local(config.TEMPORAL_UI_PORT),
    traefikInternal: local(config.TRAEFIK_INTERNAL_PORT),
    nodeGateway: local(config.NODE_GATEWAY_PORT),
    streamerGateway: local(config.STREAMER_GATEWAY_PORT),
    applications: `http://<name>.${config.DOMAIN}:${config.HTTP_PORT}`,
  };
}

/** Every port that is about to be taken. */
export function wantedPorts({ config, toolchain }: Installation): WantedPort[] {
  const isEmbedded = toolchain.postgres.kind === 'embedded';
  const onLoopback = [
    ...(['TRAEFIK_INTERNAL_PORT', 'OIDC_PORT', 'NODE_GATEWAY_PORT', 'STREAMER_GATEWAY_PORT'] as const),
    ...(['TEMPORAL_PORT', 'TEMPORAL_UI_PORT'] as const),
    ...(isEmbedded ? (['POSTGRES_PORT'] as const) : []),
  ];
  const onBindAddress = ['API_PORT', 'HTTP_PORT', 'HTTPS_PORT'] as const;
  return [
    ...onLoopback.map((variable) => ({ variable, host: LOOPBACK, port: config[variable] })),
    ...onBindAddress.map((variable) => ({ variable, host: config.BIND_ADDRESS, port: config[variable] })),
  ];
}

/** Where the control database is: the one that the user named, else the embedded one. */
export function databaseUrl({ config, keys, toolchain }: Installation): string {
  if (toolchain.postgres.kind === 'external' && config.DATABASE_URL) return config.DATABASE_URL;
  return embeddedUrl(config, CONTROL_DATABASE, CONTROL_DATABASE, keys.databasePassword);
}

/** Where minute rows of metrics go. Without a database of their own they are in the control database. */
export function metricsDatabaseUrl({ config, keys, toolchain }: Installation): string | undefined {
  if (config.METRICS_DATABASE_URL) return config.METRICS_DATABASE_URL;
  if (toolchain.postgres.kind === 'external') return config.DATABASE_URL;
  return embeddedUrl(config, METRICS_WRITER, METRICS_DATABASE, keys.metricsWriterPassword);
}

/** Where minute rows go while the metrics database is away: the control database, as the same role. */
export function metricsFallbackUrl({ config, keys, toolchain }: Installation): string | undefined {
  if (toolchain.postgres.kind === 'external') return undefined;
  return embeddedUrl(config, METRICS_WRITER, CONTROL_DATABASE, keys.metricsWriterPassword);
}

/** Where the API reads metrics. */
export function metricsReaderUrl(installation: Installation): string | undefined {
  const { config, keys, toolchain } = installation;
  if (config.METRICS_DATABASE_URL || toolchain.postgres.kind === 'external') return metricsDatabaseUrl(installation);
  return embeddedUrl(config, METRICS_READER, METRICS_DATABASE, keys.metricsReaderPassword);
}

/** Where the orchestrator sums up and clears away metrics: as their owner. */
export function metricsOwnerUrl(installation: Installation): string | undefined {
  const { config, keys, toolchain } = installation;
  if (config.METRICS_DATABASE_URL || toolchain.postgres.kind === 'external') return metricsDatabaseUrl(installation);
  return embeddedUrl(config, METRICS_DATABASE, METRICS_DATABASE, keys.metricsPassword);
}

/** The embedded server's own administrator, in one of its databases. */
export function adminUrl({ config, keys }: Installation, database = 'postgres'): string {
  return embeddedUrl(config, 'postgres', database, keys.postgresPassword);
}

function embeddedUrl(config: DevConfig, role: string, database: string, passwordFile: string): string {
  return `postgres://${role}:${readSecret(passwordFile)}@${LOOPBACK}:${config.POSTGRES_PORT}/${database}`;
}
