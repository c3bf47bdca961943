import type { Log } from '../adapters/logging/log.ts';
import { countAlerts } from '../adapters/postgres/alerts/alert-records.ts';
import { openChangeFeed } from '../adapters/postgres/changes.ts';
import { openDatabase } from '../adapters/postgres/database.ts';
import { createDataKeyStore } from '../adapters/postgres/organization-keys.ts';
import { pingDatabase } from '../adapters/postgres/ownership.ts';
import { storeOperation } from '../adapters/postgres/store-operation.ts';
import { createSealing } from '../adapters/sealing/sealing.ts';
import { openContextStore } from '../adapters/sources/context-store.ts';
import { createTemporalClient } from '../adapters/temporal/client.ts';
import { createOperationHistories } from '../adapters/temporal/operation-history.ts';
import { createRetentionGateway } from '../adapters/temporal/retention-gateway.ts';
import type { WorkerOptions } from '../adapters/temporal/worker.ts';
import { createWorkflowGateway } from '../adapters/temporal/workflow-gateway.ts';
import { createControlTokenSigner } from '../adapters/tokens/control-token.ts';
import { createJoinTokenCheck } from '../api/auth/node-auth.ts';
import { createNodeLogs } from '../api/gateways/node-logs.ts';
import { createSwarmHosts } from '../api/gateways/swarm-hosts.ts';
import { createHealthRoute } from '../api/http/health.ts';
import { createMetricsRoute } from '../api/http/metrics.ts';
import { createObservabilityRoute } from '../api/http/observability.ts';
import { createProtectedResourceRoute } from '../api/http/protected-resource.ts';
import { createWebhookRoute } from '../api/http/webhooks.ts';
import { createRoutes } from '../api/router.ts';
import { type ApiServer, openApiServer } from '../api/server.ts';
import { createApiTelemetry } from '../api/telemetry.ts';
import { createPublicAddress } from '../api/wire/address.ts';
import { type ApiConfig, apiVariables } from '../config/api.ts';
import { readEnvironment } from '../config/environment.ts';
import { issuerOf } from '../config/identity.ts';
import { toPlacementRules } from '../config/placement.ts';
import { DEFAULT_RETENTION_TIMING } from '../contracts/retention.ts';
import { DEFAULT_TIMING } from '../contracts/timing.ts';
import about from '../package.json' with { type: 'json' };
import { createAuthorisation } from './api/authorisation.ts';
import { startContextWork } from './api/context-work.ts';
import { deliverNow } from './api/deliver-now.ts';
import { createIngressRoute } from './api/ingress.ts';
import { readKeys } from './api/keys.ts';
import { createLiveMetrics } from './api/live-metrics.ts';
import { membershipOf } from './api/membership.ts';
import { migrateOrLater } from './api/migrations.ts';
import { observerQueue } from './api/observer-queue.ts';
import { tellUntaken } from './api/tell-untaken.ts';
import { createTokenSigners } from './api/token-signers.ts';
import { tellMissingMasterKeys } from './missing-keys.ts';
import type { RunningRole } from './run-role.ts';

/** Silence after which a stream says that it lives: proxies cut at 30 s and more. */
const HEARTBEAT_MS = 15_000;

/** How long a caller waits until its operation is stored. */
const ANSWER_MS = 20_000;

/** How nodes are watched: a silent node is lost after 10 s, and tried again every 5 s unless it enrols sooner. */
const NODE_TIMING = { heartbeatMs: 10_000, watchMs: 10 * 60_000, retryMs: 5_000 };

/** Starts the role `api`: RPCs, health, counters and the feed of the ingresses on one port. */
export async function startApi(environment: Record<string, string | undefined>, log: Log): Promise<RunningRole> {
  const config = readEnvironment(apiVariables, environment);
  const world = await openWorld(config, log);
  const { db, changes, keys } = world;
  const telemetry = createApiTelemetry(() => countAlerts(db));
  const ingress = createIngressRoute(config, { db, changes, log, bearer: keys.traefikToken });
  const live = createLiveMetrics({ ...world, config, log, heartbeatMs: HEARTBEAT_MS });
  const { metrics, cluster, observations } = live;
  let server: ApiServer | undefined;
  const health = createHealthRoute({
    version: about.version,
    pingDatabase: () => pingDatabase(db),
    observeMetrics: cluster.health,
    draining: () => server?.draining(),
  });
  const git = { allowedHosts: config.API_ALLOWED_GIT_HOSTS };
  const routes = createRoutes({
    ...world,
    ...createAuthorisation(db, config, log),
    ...{ log, telemetry, heartbeatMs: HEARTBEAT_MS, now: () => new Date() },
    registries: { allowedRegistries: config.API_ALLOWED_REGISTRIES },
    git,
    alerts: { allowedHosts: config.ALERTS_ALLOWED_HOSTS },
    placement: toPlacementRules(config),
    address: addressOf(config),
    checkJoinToken: createJoinTokenCheck(keys.joinToken),
    membership: membershipOf(config, keys.payload),
    metrics,
  });
  const signIn = createProtectedResourceRoute({ issuer: issuerOf(config), audience: config.OIDC_AUDIENCE });
  const webhooks = createWebhookRoute({ ...world, git, log });
  const observing = [health, createMetricsRoute(telemetry), createObservabilityRoute(cluster)];
  const httpRoutes = [...observing, ingress, signIn, webhooks];
  const listen = { host: config.BIND_ADDRESS, port: config.API_PORT, corsOrigins: config.CORS_ORIGINS };
  const opened = await openApiServer({ ...listen, routes, httpRoutes, log }).catch(async (error: unknown) => {
    await ingress.close();
    await live.close();
    await world.close();
    throw error;
  });
  server = opened;
  const certificateAddress = config.ALERTS_CERTIFICATE_ADDRESS;
  const contextWork = world.workOnContexts([observerQueue({ db, observeStreamers: observations, certificateAddress })]);
  return {
    stop: async () => {
      await Promise.all([ingress.close(), opened.stop(config.SHUTDOWN_GRACE)]);
      await live.close();
      await world.close(contextWork);
    },
  };
}

/** Opens everything that the role talks to. Neither the database nor Temporal needs to be there yet. */
async function openWorld(config: ApiConfig, log: Log) {
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

function addressOf({ DOMAIN: domain, PUBLIC_HTTP_PORT: httpPort, PUBLIC_HTTPS_PORT: httpsPort }: ApiConfig) {
  return createPublicAddress({ domain, httpPort, httpsPort });
}
