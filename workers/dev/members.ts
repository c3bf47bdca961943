import { join } from 'node:path';
import { ensureDatabases } from '../../adapters/postgres/ensure-database.ts';
import { migrate } from '../../adapters/postgres/migrate.ts';
import { prepareMetricsDatabase } from '../../adapters/timescale/migrate.ts';
import {
  adminUrl,
  CONTROL_DATABASE,
  databaseUrl,
  LOOPBACK,
  METRICS_DATABASE,
  METRICS_READER,
  METRICS_WRITER,
  toAddresses,
} from './addresses.ts';
import { postgresSpec } from './embedded-postgres.ts';
import type { Installation } from './installation.ts';
import { readSecret } from './keys.ts';
import type { GroupMember } from './process-group.ts';
import { type RoleName, roleEnvironment, usesDevelopmentIssuer } from './role-environment.ts';

const ROOT = join(import.meta.dirname, '../..');

/** After a crash PostgreSQL replays its log before it answers. */
const DATABASE_PATIENCE_MS = 120_000;

/** Roles finish what they do within their own 30 s; a little later they are ended by force. */
const ROLE_GRACE_MS = 40_000;
const SERVER_GRACE_MS = 15_000;

/**
 * The processes of a platform, in the reverse order of their stop.
 *
 * The ingress stops after the API, though it starts after it: so it serves for longest, and its own stop does not wait
 * for the request for routes that the API holds.
 */
export function toMembers(installation: Installation): GroupMember[] {
  const database = databaseMembers(installation);
  const needsDatabase = database.map(({ name }) => name);
  const identity = usesDevelopmentIssuer(installation) ? [roleMember('dev-oidc', installation, [])] : [];
  return [
    ...database,
    temporalMember(installation),
    ...identity,
    traefikMember(installation),
    roleMember('api', installation, [...needsDatabase, 'temporal', ...identity.map(({ name }) => name)]),
    // A database of the user's own is migrated by the API.
    roleMember('orchestrator', installation, [...(database.length > 0 ? needsDatabase : ['api']), 'temporal']),
    roleMember('node', installation, ['api']),
    roleMember('streamer', installation, ['node']),
  ];
}

function databaseMembers(installation: Installation): GroupMember[] {
  const { toolchain, stateDir, keys, config } = installation;
  if (toolchain.postgres.kind === 'external') return [];
  const embedded = {
    binDir: toolchain.postgres.binDir,
    stateDir,
    passwordFile: keys.postgresPassword,
    port: config.POSTGRES_PORT,
  };
  const prepare = async (): Promise<void> => {
    const owned = [
      { name: CONTROL_DATABASE, role: CONTROL_DATABASE, password: readSecret(keys.databasePassword) },
      { name: METRICS_DATABASE, role: METRICS_DATABASE, password: readSecret(keys.metricsPassword) },
    ];
    await ensureDatabases(adminUrl(installation), owned, DATABASE_PATIENCE_MS);
    await migrate(databaseUrl(installation));
    const writer = { role: METRICS_WRITER, password: readSecret(keys.metricsWriterPassword) };
    const reader = { role: METRICS_READER, password: readSecret(keys.metricsReaderPassword) };
    await prepareMetricsDatabase(adminUrl(installation, METRICS_DATABASE), { writer, reader });
    await prepareMetricsDatabase(adminUrl(installation, CONTROL_DATABASE), { writer }, { timescale: false });
  };
  return [{ ...postgresSpec(embedded), onFirstReady: prepare }];
}

function temporalMember({ toolchain, stateDir, config, environment }: Installation): GroupMember {
  const ports = ['--port', String(config.TEMPORAL_PORT), '--ui-port', String(config.TEMPORAL_UI_PORT)];
  const file = ['--db-filename', join(stateDir, 'temporal', 'temporal.db'), '--log-level', 'warn'];
  return {
    name: 'temporal',
    command: toolchain.temporal.path,
    args: ['server', 'start-dev', '--ip', LOOPBACK, '--ui-ip', LOOPBACK, ...ports, ...file],
    env: { HOME: environment.HOME ?? stateDir, PATH: environment.PATH ?? '' },
    cwd: stateDir,
    // The web page passes this on to the server, so the answer shows both of them and the namespace.
    readiness: { kind: 'http', url: `${toAddresses(config).temporalUi}/api/v1/namespaces/default` },
    stopSignal: 'SIGTERM',
    stopGraceMs: SERVER_GRACE_MS,
    after: [],
  };
}

function roleMember(role: RoleName, installation: Installation, after: readonly string[]): GroupMember {
  return {
    name: role,
    command: installation.toolchain.node,
    args: [join(ROOT, 'cli/main.ts'), role],
    env: roleEnvironment(role, installation),
    cwd: ROOT,
    readiness: { kind: 'message' },
    stopSignal: 'SIGTERM',
    stopGraceMs: ROLE_GRACE_MS,
    after,
  };
}

function traefikMember({ toolchain, stateDir, config, environment }: Installation): GroupMember {
  return {
    name: 'traefik',
    command: toolchain.traefik.path,
    args: [`--configFile=${traefikConfigFile(stateDir)}`],
    env: { HOME: environment.HOME ?? stateDir, PATH: environment.PATH ?? '' },
    cwd: stateDir,
    readiness: { kind: 'http', url: `${toAddresses(config).traefikInternal}/ping` },
    stopSignal: 'SIGTERM',
    stopGraceMs: SERVER_GRACE_MS,
    after: ['api'],
  };
}

/** Where Traefik's static configuration is written. */
export function traefikConfigFile(stateDir: string): string {
  return join(stateDir, 'traefik', 'traefik.yml');
}
