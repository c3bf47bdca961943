import { join } from 'node:path';
import type { z } from 'zod';
import { DEV_USER } from '../../adapters/dev-oidc/dev-user.ts';
import { apiVariables } from '../../config/api.ts';
import { devOidcVariables } from '../../config/dev-oidc.ts';
import { nodeVariables } from '../../config/node.ts';
import { orchestratorVariables } from '../../config/orchestrator.ts';
import { streamerVariables } from '../../config/streamer.ts';
import {
  databaseUrl,
  LOOPBACK,
  metricsDatabaseUrl,
  metricsFallbackUrl,
  metricsOwnerUrl,
  metricsReaderUrl,
  toAddresses,
} from './addresses.ts';
import type { Installation } from './installation.ts';

/** Names of the roles that the supervisor runs as processes of this code base. */
export type RoleName = 'dev-oidc' | 'api' | 'orchestrator' | 'node' | 'streamer';

type Environment = Record<string, string>;

/**
 * What Node has compiled of this checkout, for all state folders that it runs. Beside the packages, and with their
 * rights: whoever may write here may write those. Where nobody may, each start compiles anew.
 */
const COMPILE_CACHE = join(import.meta.dirname, '../../node_modules/.cache/obiente/compile');

/** What any program needs of its surroundings; nothing of it is a secret. */
const SURROUNDINGS = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'NODE_OPTIONS', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE'];

/** What each role knows: variables of the caller with another name are not passed on. */
const VARIABLES: Readonly<Record<RoleName, z.ZodObject>> = {
  'dev-oidc': devOidcVariables,
  api: apiVariables,
  orchestrator: orchestratorVariables,
  node: nodeVariables,
  streamer: streamerVariables,
};

/**
 * A streamer is on every host and makes short-lived objects only, a few a second: a young generation of 1 MiB holds them,
 * where the usual one keeps some 40 MiB of the host's memory filled with what nobody needs any more.
 */
export const STREAMER_NODE_OPTIONS = '--max-semi-space-size=1';

/**
 * The whole environment of a role's process.
 *
 * Each role is given what it needs and no more: only the control plane knows the control database and the keys, a node
 * has its join token, a streamer the metrics database.
 */
export function roleEnvironment(role: RoleName, installation: Installation): Environment {
  const known = VARIABLES[role].shape;
  const wanted = {
    ...commonVariables(installation),
    ...countersOf(role, installation),
    ...ROLE_VARIABLES[role](installation),
  };
  const given = Object.entries(installation.environment).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && (entry[0] in known || SURROUNDINGS.includes(entry[0])),
  );
  return {
    ...Object.fromEntries(given),
    ...Object.fromEntries(Object.entries(wanted).filter(([name]) => name in known)),
    NODE_COMPILE_CACHE: COMPILE_CACHE,
    ...(role === 'streamer' ? { NODE_OPTIONS: STREAMER_NODE_OPTIONS } : {}),
  };
}

/** Roles that serve their counters at a port of their own, in this order from `METRICS_PORT` on: one host runs them all. */
const COUNTING: readonly RoleName[] = ['orchestrator', 'node', 'streamer'];

function countersOf(role: RoleName, { environment }: Installation): Environment {
  const [first, place] = [Number(environment.METRICS_PORT), COUNTING.indexOf(role)];
  // What is no port is refused by the role itself, with a word for it.
  return Number.isInteger(first) && first > 0 && place > 0 ? { METRICS_PORT: `${first + place}` } : {};
}

function commonVariables({ instance, stateDir, config }: Installation): Environment {
  return { OBIENTE_INSTANCE: instance, OBIENTE_STATE_DIR: stateDir, LOG_LEVEL: config.LOG_LEVEL };
}

const ROLE_VARIABLES: Readonly<Record<RoleName, (installation: Installation) => Environment>> = {
  'dev-oidc': ({ config }) => ({
    OIDC_PORT: String(config.OIDC_PORT),
    OIDC_ISSUER: toAddresses(config).issuer,
    CONTROL_URL: toAddresses(config).api,
  }),
  api: (installation) => {
    const { config, keys, stateDir } = installation;
    const metrics = metricsReaderUrl(installation);
    return {
      ...temporalVariables(installation),
      ...(metrics ? { METRICS_READER_DATABASE_URL: metrics } : {}),
      BIND_ADDRESS: config.BIND_ADDRESS,
      API_PORT: String(config.API_PORT),
      DATABASE_URL: databaseUrl(installation),
      MASTER_KEY_FILE: keys.master,
      CONTROL_KEY_FILE: keys.control,
      NODE_JOIN_TOKEN_FILE: keys.joinToken,
      TRAEFIK_TOKEN_FILE: keys.traefikToken,
      CONTEXT_DIR: join(stateDir, 'contexts'),
      DOMAIN: config.DOMAIN,
      PUBLIC_HTTP_PORT: String(config.HTTP_PORT),
      PUBLIC_HTTPS_PORT: String(config.HTTPS_PORT),
      ALERTS_CERTIFICATE_ADDRESS: `127.0.0.1:${config.HTTPS_PORT}`,
      ...joining(installation),
      ...(usesDevelopmentIssuer(installation) ? developmentIdentity(installation) : {}),
    };
  },
  orchestrator: (installation) => {
    const metrics = metricsOwnerUrl(installation);
    return {
      ...temporalVariables(installation),
      DATABASE_URL: databaseUrl(installation),
      ...(metrics ? { METRICS_DATABASE_URL: metrics } : {}),
      MASTER_KEY_FILE: installation.keys.master,
      TRAEFIK_INTERNAL_URLS: toAddresses(installation.config).traefikInternal,
      DOMAIN: installation.config.DOMAIN,
      ...reading(installation),
    };
  },
  node: (installation) => {
    const { config, keys } = installation;
    return {
      ...temporalVariables(installation),
      ...hostVariables(installation),
      NODE_JOIN_TOKEN_FILE: keys.joinToken,
      NODE_ADDRESS: config.NODE_ADDRESS,
      NODE_GATEWAY_PORT: String(config.NODE_GATEWAY_PORT),
    };
  },
  streamer: (installation) => {
    const metrics = metricsDatabaseUrl(installation);
    const standIn = metricsFallbackUrl(installation);
    return {
      ...hostVariables(installation),
      ...(metrics ? { METRICS_DATABASE_URL: metrics } : {}),
      ...(standIn ? { METRICS_FALLBACK_DATABASE_URL: standIn } : {}),
      METRICS_INGRESS_URL: toAddresses(installation.config).traefikInternal,
    };
  },
};

/** Where metrics are read for alerts. */
function reading(installation: Installation): Environment {
  const url = metricsReaderUrl(installation);
  return url ? { METRICS_READER_DATABASE_URL: url } : {};
}

/** Where the streamers of nodes that join write: only as a role that is known to be able to insert and nothing else. */
function joining(installation: Installation): Environment {
  const { config, toolchain } = installation;
  if (config.METRICS_DATABASE_URL || toolchain.postgres.kind === 'external') return {};
  const metrics = metricsDatabaseUrl(installation);
  return metrics ? { JOIN_METRICS_DATABASE_URL: metrics } : {};
}

/** The one user of development runs the platform as well, unless others are named. */
function developmentIdentity({ config, environment }: Installation): Environment {
  const operators = environment.PLATFORM_OPERATORS ? {} : { PLATFORM_OPERATORS: DEV_USER.id };
  return { OIDC_ISSUER: toAddresses(config).issuer, ...operators };
}

/** Whether people sign in at the development provider, because no other was named. */
export function usesDevelopmentIssuer({ environment }: Installation): boolean {
  return !environment.OIDC_ISSUER && !environment.ZITADEL_URL;
}

function temporalVariables({ config, keys }: Installation): Environment {
  return {
    TEMPORAL_ADDRESS: toAddresses(config).temporal,
    TEMPORAL_NAMESPACE: 'default',
    PAYLOAD_KEY_FILE: keys.payload,
  };
}

/** What both roles on a Docker host need. */
function hostVariables({ config, stateDir, toolchain }: Installation): Environment {
  return {
    CONTROL_URL: toAddresses(config).api,
    BIND_ADDRESS: LOOPBACK,
    NODE_KEY_DIR: join(stateDir, 'node'),
    STREAMER_GATEWAY_PORT: String(config.STREAMER_GATEWAY_PORT),
    ...('socket' in toolchain.docker ? { DOCKER_SOCKET: toolchain.docker.socket } : {}),
  };
}
