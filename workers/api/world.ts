import type { Log } from '../../adapters/logging/log.ts';
import { openChangeFeed } from '../../adapters/postgres/changes.ts';
import { openDatabase } from '../../adapters/postgres/database.ts';
import { createDataKeyStore } from '../../adapters/postgres/organization-keys.ts';
import { storeOperation } from '../../adapters/postgres/store-operation.ts';
import { createSealing } from '../../adapters/sealing/sealing.ts';
import { openContextStore } from '../../adapters/sources/context-store.ts';
import { createTemporalClient } from '../../adapters/temporal/client.ts';
import { createOperationHistories } from '../../adapters/temporal/operation-history.ts';
import { createRetentionGateway } from '../../adapters/temporal/retention-gateway.ts';
import type { WorkerOptions } from '../../adapters/temporal/worker.ts';
import { createWorkflowGateway } from '../../adapters/temporal/workflow-gateway.ts';
import { createControlTokenSigner } from '../../adapters/tokens/control-token.ts';
import { createNodeLogs } from '../../api/gateways/node-logs.ts';
import { createSwarmHosts } from '../../api/gateways/swarm-hosts.ts';
import type { ApiConfig } from '../../config/api.ts';
import { DEFAULT_RETENTION_TIMING } from '../../contracts/retention.ts';
import { DEFAULT_TIMING } from '../../contracts/timing.ts';
import { tellMissingMasterKeys } from '../missing-keys.ts';
import { startContextWork } from './context-work.ts';
import { deliverNow } from './deliver-now.ts';
import { readKeys } from './keys.ts';
import { migrateOrLater } from './migrations.ts';
import { tellUntaken } from './tell-untaken.ts';
import { createTokenSigners } from './token-signers.ts';

/** How long a caller waits until its operation is stored. */
const ANSWER_MS = 20_000;

/** How nodes are watched: a silent node is lost after 10 s, and tried again every 5 s unless it enrols sooner. */
const NODE_TIMING = { heartbeatMs: 10_000, watchMs: 10 * 60_000, retryMs: 5_000 };

/** Opens everything that the role talks to. Neither the database nor Temporal needs to be there yet. */
export async function openWorld(config: ApiConfig, log: Log) {
  const keys = await readKeys(config);
  const closing = new AbortController();
  await migrateOrLater(config.DATABASE_URL, log, closing.signal);
  const db = openDatabase({ url: config.DATABASE_URL });
  const changes = await openChangeFeed({ url: config.DATABASE_URL, log });
  void tellMissingMasterKeys(db, keys.master, log);
  const { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace } = config;
  const to = { address, namespace, payloadKeys: keys.payload };
  const temporal = createTemporalClient(to);
  const { ROLLOUT_DRAIN: drainMs, ROLLOUT_STOP_GRACE: stopGraceMs } = config;
  const rollout = { ...DEFAULT_TIMING, drainMs, stopGraceMs };
  const timing = { timing: rollout, node: NODE_TIMING, answerMs: ANSWER_MS };
  const signer = createControlTokenSigner(keys.control);
  const workflows = createWorkflowGateway({
    ...{ client: temporal.client, ...timing },
    storeOperation: (input) => storeOperation(db, input, config.DOMAIN),
    onUntold: (place, err) => log.warn({ ...place, err }, 'an operation is stored, and its workflow is told later'),
  });
  const telling = tellUntaken({ db, workflows, log }, closing.signal);
  return {
    ...{ keys, db, changes, signer, publicJwks: signer.publicJwks },
    ...createTokenSigners(keys.control),
    ...{ masterKeys: keys.master, payloadKeys: keys.payload },
    workflows,
    retention: createRetentionGateway({
      ...{ client: temporal.client, timing: DEFAULT_RETENTION_TIMING, answerMs: ANSWER_MS },
    }),
    histories: createOperationHistories(temporal.client),
    sealing: createSealing({ masterKeys: keys.master, store: createDataKeyStore(db) }),
    contexts: await openContextStore({ folder: config.CONTEXT_DIR }),
    workOnContexts: (others: readonly WorkerOptions[]) =>
      startContextWork({ db, folder: config.CONTEXT_DIR, temporal: to, others, log }, closing.signal),
    deliver: deliverNow(temporal.client, log),
    nodeLogs: createNodeLogs({ signer }),
    swarmHosts: createSwarmHosts({ signer }),
    close: async (working?: Promise<void>) => {
      closing.abort();
      await Promise.all([changes.close(), temporal.close(), working, telling]);
      await db.destroy();
    },
  };
}
