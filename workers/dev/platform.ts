import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { writeStaticConfig } from '../../adapters/traefik/static-config.ts';
import { devVariables } from '../../config/dev.ts';
import { readEnvironment } from '../../config/environment.ts';
import { type Addresses, LOOPBACK, toAddresses, wantedPorts } from './addresses.ts';
import { ensureCluster } from './embedded-postgres.ts';
import { type Installation, openInstallation } from './installation.ts';
import { readSecret } from './keys.ts';
import { toMembers, traefikConfigFile } from './members.ts';
import { endStaleProcesses, findStaleProcesses } from './pid-files.ts';
import { assertPortsFree } from './ports.ts';
import { startGroup } from './process-group.ts';
import type { ProcessEvent, SupervisedProcess } from './supervised-process.ts';
import { lockStateDir } from './supervisor-lock.ts';

/** How a platform is started. */
export interface PlatformOptions {
  /** An existing folder in which the set-up has been. */
  readonly stateDir: string;
  /** Variables of the supervisor and of the roles: ports, level of logs and the like. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** In place of the one in the state folder. */
  readonly instance?: string;
  readonly onEvent?: (event: ProcessEvent) => void;
  /** Gives the start up: everything is stopped again. */
  readonly signal?: AbortSignal;
}

/** A platform that runs. */
export interface Platform {
  readonly addresses: Addresses;
  readonly instance: string;
  readonly processes: readonly SupervisedProcess[];
  /** Stops its processes in order. What was deployed goes on running. */
  stop(): Promise<void>;
}

/** Processes in the order of their stop; what an older version may have left comes first. */
const STOP_ORDER = ['streamer', 'node', 'orchestrator', 'api', 'traefik', 'dev-oidc', 'temporal', 'postgres'];

/**
 * Starts a whole platform on this machine and resolves when it is ready to deploy.
 *
 * One supervisor runs a state folder at a time. What an earlier one left running, because it was killed, is ended
 * first; containers are left alone and found again by the node.
 *
 * @throws CONFIGURATION: something must be changed before it can start; INTERNAL: a process failed again and again.
 */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const { environment, onEvent = () => {}, signal } = options;
  const config = readEnvironment(devVariables, environment);
  const stateDir = realpathSync(options.stateDir);
  const lock = await lockStateDir(stateDir);
  try {
    const installation = openInstallation({ stateDir, config, environment, instance: options.instance });
    const runDir = join(stateDir, 'run');
    await endStaleProcesses(runDir, inStopOrder(findStaleProcesses(runDir)));
    await assertPortsFree(wantedPorts(installation));
    await prepareServers(installation);
    const group = await startGroup(toMembers(installation), {
      ...{ runDir, logsDir: join(stateDir, 'logs'), onEvent },
      ...(signal ? { signal } : {}),
    });
    const stop = async (): Promise<void> => {
      await group.stop();
      await lock.release();
    };
    return { addresses: toAddresses(config), instance: installation.instance, processes: group.processes, stop };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

function inStopOrder<Named extends { readonly name: string }>(processes: readonly Named[]): Named[] {
  return processes.toSorted((one, other) => STOP_ORDER.indexOf(one.name) - STOP_ORDER.indexOf(other.name));
}

/** Makes what PostgreSQL and Traefik need before their first start: an empty database cluster, a configuration file. */
export async function prepareServers({ stateDir, toolchain, keys, config }: Installation): Promise<void> {
  if (toolchain.postgres.kind === 'embedded') {
    const { binDir } = toolchain.postgres;
    await ensureCluster({ binDir, stateDir, passwordFile: keys.postgresPassword, port: config.POSTGRES_PORT });
  }
  await writeStaticConfig(traefikConfigFile(stateDir), {
    bindAddress: config.BIND_ADDRESS,
    httpPort: config.HTTP_PORT,
    httpsPort: config.HTTPS_PORT,
    internalAddress: LOOPBACK,
    internalPort: config.TRAEFIK_INTERNAL_PORT,
    configUrl: `${toAddresses(config).api}/traefik/config`,
    token: readSecret(keys.traefikToken),
  });
}
