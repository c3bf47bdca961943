import type { StreamerObservation } from '../../activities/observe-cluster.ts';
import type { Log } from '../../adapters/logging/log.ts';
import type { ChangeFeed } from '../../adapters/postgres/changes.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import { findDeployment } from '../../adapters/postgres/deployments.ts';
import { readOwnHoursOf } from '../../adapters/postgres/metrics-periods.ts';
import { listNodes, listNodesOfDeployment } from '../../adapters/postgres/nodes.ts';
import { listReplicas } from '../../adapters/postgres/replicas.ts';
import { openMetricsDatabase } from '../../adapters/timescale/metrics-database.ts';
import { createMetricsReader } from '../../adapters/timescale/metrics-reader.ts';
import type { ControlTokenSigner } from '../../adapters/tokens/control-token.ts';
import { createStreamers, type Streamer } from '../../api/gateways/streamers.ts';
import { createClusterObservability } from '../../api/metrics/cluster-observability.ts';
import { createIngressNodes } from '../../api/metrics/ingress-nodes.ts';
import { observeStreamers } from '../../api/metrics/observe-streamers.ts';
import { createReaders } from '../../api/metrics/readers.ts';
import { createNoStoredMetrics, createNoStoredUsage, createStoredMetrics } from '../../api/metrics/stored-metrics.ts';
import type { Place } from '../../api/metrics/stream-metrics.ts';
import { createMetricsService } from '../../api/services/metrics.ts';
import type { ApiConfig } from '../../config/api.ts';
import { type PlatformPeriods, periodsInForce } from '../../domain/metrics/retention.ts';

/** Streamers that the cluster's counters sum up at most: one a node, as many as a cluster of this platform has. */
const MAX_NODES = 1_000;

/** Metrics of all nodes: the service, the cluster's counters, and how to let go of it all. */
export function createLiveMetrics(world: {
  readonly config: ApiConfig;
  readonly db: Database;
  readonly changes: ChangeFeed;
  readonly signer: ControlTokenSigner;
  readonly heartbeatMs: number;
  readonly log: Log;
}) {
  const { config, db, changes, signer, heartbeatMs, log } = world;
  const streamers = createStreamers({ signer });
  const monotonic = (): number => performance.now();
  const listStreamers = async (): Promise<readonly Streamer[]> => {
    const nodes = await listNodes(db, { limit: MAX_NODES });
    return nodes.filter(({ state }) => state !== 'lost');
  };
  const findIngresses = createIngressNodes({ listStreamers, monotonic, countsRequests: streamers.countsRequests });
  const readers = createReaders();
  const sweeps = setInterval(() => {
    const closed = readers.sweep();
    if (closed > 0) log.warn({ readers: closed }, 'readers of metrics that read nothing were closed');
  }, config.METRICS_SUBSCRIBER_CLEANUP_INTERVAL);
  const { stored, usage, close } = openStored(config);
  const metrics = createMetricsService({
    ...{ streamers, readers, heartbeatMs, stored, now: () => new Date() },
    findPlaces: (deploymentId) => findPlaces(db, deploymentId, findIngresses),
    findReplicaIds: async (deploymentId, service) => {
      const replicas = (await listReplicas(db, [deploymentId])).get(deploymentId) ?? [];
      return replicas.filter((replica) => replica.service === service).map(({ replicaId }) => replicaId);
    },
    subscribe: (deploymentId, listener) => changes.subscribe({ deploymentId }, listener),
    readKept: async (deploymentId) => {
      const { minutesMs } = periodsInForce(await readOwnHoursOf(db, deploymentId), metricsPeriodsOf(config));
      return { live: config.METRICS_LIVE_RETENTION, minute: minutesMs };
    },
    patience: {
      maxRounds: config.METRICS_SUBSCRIBER_BUFFER_SIZE,
      slowAfterMs: config.METRICS_SUBSCRIBER_SLOW_THRESHOLD,
      stuckAfterMs: config.METRICS_SUBSCRIBER_CLEANUP_INTERVAL,
    },
  });
  const cluster = createClusterObservability({ listStreamers, monotonic, observe: streamers.observe });
  const observations = (): Promise<StreamerObservation[]> => observeStreamers({ listStreamers, ...streamers });
  return {
    metrics,
    usage,
    cluster,
    observations,
    close: async () => {
      clearInterval(sweeps);
      await close();
    },
  };
}

/** The platform's periods. */
export function metricsPeriodsOf(config: ApiConfig): PlatformPeriods {
  return { minutesMs: config.METRICS_MINUTES_RETENTION, hoursMs: config.METRICS_HOURS_RETENTION };
}

/** The metrics database by a role that reads, and the control database, where rows are while that one is away. */
function openStored(config: ApiConfig) {
  const url = config.METRICS_READER_DATABASE_URL;
  if (url === undefined) {
    return { stored: createNoStoredMetrics(), usage: createNoStoredUsage(), close: async () => undefined };
  }
  const [main, standIn] = [openMetricsDatabase(url), openMetricsDatabase(config.DATABASE_URL)];
  const usage = createMetricsReader(main, standIn);
  return {
    stored: createStoredMetrics(usage, Date.now),
    usage,
    close: async () => void (await Promise.all([main.destroy(), standIn.destroy()])),
  };
}

/** States of replicas that have a container which runs. */
const RUNNING = ['healthy', 'unhealthy'];

async function findPlaces(
  db: Database,
  deploymentId: string,
  findIngresses: () => Promise<readonly Streamer[]>,
): Promise<readonly Place[] | undefined> {
  const [deployment, nodes, replicas, ingresses] = await Promise.all([
    findDeployment(db, deploymentId),
    listNodesOfDeployment(db, deploymentId),
    listReplicas(db, [deploymentId]),
    findIngresses(),
  ]);
  if (!deployment) return undefined;
  const running = (replicas.get(deploymentId) ?? []).filter(({ state }) => RUNNING.includes(state));
  const places = nodes.map(({ nodeId, streamerUrl }) => ({
    ...{ nodeId, streamerUrl, holdsReplicas: true },
    replicaIds: running.filter((replica) => replica.nodeId === nodeId).map(({ replicaId }) => replicaId),
  }));
  const others = ingresses.filter(({ nodeId }) => !places.some((place) => place.nodeId === nodeId));
  return [
    ...places,
    ...others.map(({ nodeId, streamerUrl }) => ({ nodeId, streamerUrl, holdsReplicas: false, replicaIds: [] })),
  ];
}
