import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { createLog } from '../../adapters/logging/log.ts';
import { type ChangeFeed, openChangeFeed } from '../../adapters/postgres/changes.ts';
import { type Database, openDatabase } from '../../adapters/postgres/database.ts';
import { readKeyring } from '../../adapters/sealing/keyring.ts';
import { createTemporalClient } from '../../adapters/temporal/client.ts';
import type { Api } from '../../cli/client.ts';
import { devVariables } from '../../config/dev.ts';
import { readEnvironment } from '../../config/environment.ts';
import { databaseUrl, toAddresses } from '../../workers/dev/addresses.ts';
import { type Installation, openInstallation } from '../../workers/dev/installation.ts';
import { toMembers } from '../../workers/dev/members.ts';
import { prepareServers } from '../../workers/dev/platform.ts';
import { type GroupMember, startGroup } from '../../workers/dev/process-group.ts';
import { DOCKER_SOCKET } from '../support/docker.ts';
import { createTestInstallation } from '../support/installation.ts';
import { openApi, type PlatformFacts } from '../support/platform.ts';
import { type FaultProxy, portOf, socketPathOf, startFaultProxy } from './fault-proxy.ts';
import { createProcessControl, type ProcessControl } from './process-control.ts';

/** Proxies on the ways out of single processes. Without rules they pass everything on. */
export interface Ways {
  /** From the node to its Docker daemon. */
  readonly docker: FaultProxy;
  /** From the API to the Temporal server. */
  readonly apiToTemporal: FaultProxy;
  /** From the node to the Temporal server. */
  readonly nodeToTemporal: FaultProxy;
}

/** A whole platform under the supervisor's own care, with ways to harm it and to look behind its back. */
export interface FaultPlatform extends PlatformFacts {
  readonly api: Api;
  readonly processes: ProcessControl;
  readonly ways: Ways;
  /** Straight to the control database. */
  readonly db: Database;
  /** Tells of changes of that database as they are committed. */
  readonly changes: ChangeFeed;
  /** Straight to the Temporal server. */
  readonly temporal: Client;
  readonly payloadKey: Uint8Array;
  /** Connects to the API anew, as another client. */
  connect(): Api;
}

/** A process that is killed again and again is started as after its first end each time, so that times compare. */
const RESTARTS = { firstDelayMs: 200, longestDelayMs: 200, soundAfterMs: 0 };

/** Requests of the prober take milliseconds, and the applications here have nothing to save. */
const BRISK = { ROLLOUT_DRAIN: '500ms', ROLLOUT_STOP_GRACE: '1s' };

/**
 * Starts a platform of its own as `npm start` does, with the same processes and the same supervisor. Only the addresses
 * that the API and the node are given lead through proxies, and there is no streamer, which has no part in operations.
 *
 * @param stacks.stack takes what has to be stopped, from the first moment on: an interrupted start leaves nothing either
 * @param stacks.connections takes the test's own connections
 */
export async function startFaultPlatform(
  { stack, connections }: { readonly stack: AsyncDisposableStack; readonly connections: AsyncDisposableStack },
  random: () => number = Math.random,
): Promise<FaultPlatform> {
  const { stateDir, instance, registryPorts, gitPorts, environment, remove } = await createTestInstallation();
  stack.defer(remove);
  const given = { ...environment, ...BRISK };
  const config = readEnvironment(devVariables, given);
  const installation = openInstallation({ stateDir, config, environment: given, instance });
  await prepareServers(installation);
  const ways = await openWays(installation, stack, random);
  const processes = await startProcesses(installation, ways, stack);
  const looks = await lookBehind(installation, connections);
  const { api: apiUrl, temporal: temporalAddress } = toAddresses(config);
  const connect = () => openApi({ apiUrl, stateDir });
  const api = connect();
  connections.defer(api.close);
  const ports = { httpPort: config.HTTP_PORT, httpsPort: config.HTTPS_PORT };
  return {
    stateDir,
    instance,
    apiUrl,
    temporalAddress,
    ...ports,
    registryPorts,
    gitPorts,
    ...looks,
    api,
    connect,
    processes,
    ways,
  };
}

async function startProcesses(
  installation: Installation,
  ways: Ways,
  stack: AsyncDisposableStack,
): Promise<ProcessControl> {
  const { stateDir } = installation;
  const processes = createProcessControl();
  const giveUp = new AbortController();
  const starting = startGroup(membersOn(installation, ways), {
    runDir: join(stateDir, 'run'),
    logsDir: join(stateDir, 'logs'),
    timing: RESTARTS,
    onEvent: processes.onEvent,
    signal: giveUp.signal,
  });
  stack.defer(async () => {
    giveUp.abort();
    const group = await starting.catch(() => undefined);
    await group?.stop();
  });
  processes.attach((await starting).processes);
  return processes;
}

async function openWays({ config }: Installation, stack: AsyncDisposableStack, random: () => number): Promise<Ways> {
  const temporal = { to: { port: config.TEMPORAL_PORT }, unit: 'grpc', random } as const;
  const ways = {
    docker: await startFaultProxy({ to: { socketPath: DOCKER_SOCKET }, unit: 'http', random }),
    apiToTemporal: await startFaultProxy(temporal),
    nodeToTemporal: await startFaultProxy(temporal),
  };
  for (const way of Object.values(ways)) stack.defer(way.stop);
  return ways;
}

function membersOn(installation: Installation, { docker, apiToTemporal, nodeToTemporal }: Ways): GroupMember[] {
  const address = (way: FaultProxy): string => `127.0.0.1:${portOf(way)}`;
  const redirected: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    api: { TEMPORAL_ADDRESS: address(apiToTemporal) },
    node: { TEMPORAL_ADDRESS: address(nodeToTemporal), DOCKER_SOCKET: socketPathOf(docker) },
  };
  return toMembers(installation)
    .filter(({ name }) => name !== 'streamer')
    .map((member) => ({ ...member, env: { ...member.env, ...redirected[member.name] } }));
}

async function lookBehind(installation: Installation, stack: AsyncDisposableStack) {
  const url = databaseUrl(installation);
  const db = openDatabase({ url, maxConnections: 4 });
  stack.defer(() => db.destroy());
  const changes = await openChangeFeed({ url, log: createLog({ role: 'test', level: 'silent' }) });
  stack.defer(changes.close);
  const payloadKeys = await readKeyring(installation.keys.payload, 'PAYLOAD_KEY_FILE');
  const { temporal: address } = toAddresses(installation.config);
  const { client, close } = createTemporalClient({ address, namespace: 'default', payloadKeys });
  stack.defer(close);
  return { databaseUrl: url, db, changes, payloadKey: payloadKeys.present.key, temporal: client };
}
