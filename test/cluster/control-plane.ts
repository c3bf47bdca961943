import { join } from 'node:path';
import type { Client } from '@temporalio/client';
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
import { startGroup } from '../../workers/dev/process-group.ts';
import { createProcessControl, type ProcessControl } from '../faults/process-control.ts';
import { createTestInstallation } from '../support/installation.ts';
import { openApi } from '../support/platform.ts';

/** A platform without a node of its own: everything but what runs on the hosts. */
export interface ControlPlane {
  readonly installation: Installation;
  readonly api: Api;
  /** Straight to the control database. */
  readonly db: Database;
  /** Straight to Temporal. */
  readonly temporal: Client;
  readonly processes: ProcessControl;
}

/** What runs on each host, and not here. */
const ON_HOSTS = ['node', 'streamer'];

/** Requests take milliseconds here, and the applications have nothing to save. No goal is about either wait. */
const BRISK = { ROLLOUT_DRAIN: '2s', ROLLOUT_STOP_GRACE: '2s' };

/** Retention has something to do within minutes. */
const SHORT_MEMORY = { RETENTION_KEEP_REVISIONS: '2', RETENTION_IMAGE_AGE: '1s' };

/** How it differs from that of every other cluster. */
export interface ControlPlaneOptions {
  /** Further variables of its roles. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Changes what PostgreSQL and Traefik are started with. */
  readonly onPrepared?: (installation: Installation) => Promise<void>;
}

/** Starts it as `npm start` does, with the same processes and the same supervisor. */
export async function startControlPlane(
  stack: AsyncDisposableStack,
  { address }: { readonly address: string },
  { settings = {}, onPrepared }: ControlPlaneOptions = {},
): Promise<ControlPlane> {
  const { stateDir, instance, environment, remove } = await createTestInstallation();
  stack.defer(remove);
  // Where hosts that join reach it.
  const joining = { JOIN_TEMPORAL_ADDRESS: `${address}:${environment.TEMPORAL_PORT}` };
  const given = { ...environment, ...BRISK, ...SHORT_MEMORY, ...joining, ...settings };
  const config = readEnvironment(devVariables, given);
  const installation = openInstallation({ stateDir, config, environment: given, instance });
  await prepareServers(installation);
  await onPrepared?.(installation);
  const giveUp = new AbortController();
  const processes = createProcessControl();
  const members = toMembers(installation).filter(({ name }) => !ON_HOSTS.includes(name));
  const starting = startGroup(members, {
    ...{ runDir: join(stateDir, 'run'), logsDir: join(stateDir, 'logs') },
    ...{ onEvent: processes.onEvent, signal: giveUp.signal },
  });
  stack.defer(async () => {
    giveUp.abort();
    const group = await starting.catch(() => undefined);
    await group?.stop();
  });
  processes.attach((await starting).processes);
  const db = openDatabase({ url: databaseUrl(installation), maxConnections: 4 });
  stack.defer(() => db.destroy());
  const api = openApi({ apiUrl: toAddresses(config).api, stateDir });
  stack.defer(api.close);
  const payloadKeys = await readKeyring(installation.keys.payload, 'PAYLOAD_KEY_FILE');
  const to = { address: toAddresses(config).temporal, namespace: 'default', payloadKeys };
  const { client: temporal, close } = createTemporalClient(to);
  stack.defer(close);
  return { installation, api, db, temporal, processes };
}
