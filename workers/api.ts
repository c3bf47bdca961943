import type { Log } from '../adapters/logging/log.ts';
import { countAlerts } from '../adapters/postgres/alerts/alert-records.ts';
import { pingDatabase } from '../adapters/postgres/ownership.ts';
import { createJoinTokenCheck } from '../api/auth/node-auth.ts';
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
import about from '../package.json' with { type: 'json' };
import { createAuthorisation } from './api/authorisation.ts';
import { createIngressRoute } from './api/ingress.ts';
import { createLiveMetrics, metricsPeriodsOf } from './api/live-metrics.ts';
import { membershipOf } from './api/membership.ts';
import { observerQueue } from './api/observer-queue.ts';
import { openWorld } from './api/world.ts';
import type { RunningRole } from './run-role.ts';

/** Silence after which a stream says that it lives: proxies cut at 30 s and more. */
const HEARTBEAT_MS = 15_000;

/** Starts the role `api`: RPCs, health, counters and the feed of the ingresses on one port. */
export async function startApi(environment: Record<string, string | undefined>, log: Log): Promise<RunningRole> {
  const config = readEnvironment(apiVariables, environment);
  const world = await openWorld(config, log);
  const { db, changes, keys } = world;
  const telemetry = createApiTelemetry(() => countAlerts(db));
  const ingress = createIngressRoute(config, { db, changes, log, bearer: keys.traefikToken });
  const live = createLiveMetrics({ ...world, config, log, heartbeatMs: HEARTBEAT_MS });
  const { metrics, usage, cluster, observations } = live;
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
    ...{ metrics, usage, metricsPeriods: metricsPeriodsOf(config) },
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

function addressOf({ DOMAIN: domain, PUBLIC_HTTP_PORT: httpPort, PUBLIC_HTTPS_PORT: httpsPort }: ApiConfig) {
  return createPublicAddress({ domain, httpPort, httpsPort });
}
