import type { StreamerObservation } from '../../activities/observe-cluster.ts';
import type { ChangeFeed } from '../../adapters/postgres/changes.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import { findDeployment } from '../../adapters/postgres/deployments.ts';
import { listNodes, listNodesOfDeployment } from '../../adapters/postgres/nodes.ts';
import type { ControlTokenSigner } from '../../adapters/tokens/control-token.ts';
import { createStreamers, type Streamer } from '../../api/gateways/streamers.ts';
import { createClusterObservability } from '../../api/metrics/cluster-observability.ts';
import { observeStreamers } from '../../api/metrics/observe-streamers.ts';
import { createMetricsService } from '../../api/services/metrics.ts';

/** Streamers that the cluster's counters sum up at most: one a node, as many as a cluster of this platform has. */
const MAX_NODES = 1_000;

/** Live metrics of all nodes: the service, and the cluster's counters. */
export function createLiveMetrics(world: {
  readonly db: Database;
  readonly changes: ChangeFeed;
  readonly signer: ControlTokenSigner;
  readonly heartbeatMs: number;
}) {
  const { db, changes, signer, heartbeatMs } = world;
  const streamers = createStreamers({ signer });
  const metrics = createMetricsService({
    ...{ streamers, heartbeatMs, now: () => new Date() },
    findStreamers: (deploymentId) => findStreamers(db, deploymentId),
    subscribe: (deploymentId, listener) => changes.subscribe({ deploymentId }, listener),
  });
  const cluster = createClusterObservability({
    ...{ observe: streamers.observe, monotonic: () => performance.now() },
    listStreamers: async () => {
      const nodes = await listNodes(db, { limit: MAX_NODES });
      return nodes.filter(({ state }) => state !== 'lost');
    },
  });
  const listStreamers = async (): Promise<readonly Streamer[]> => {
    const nodes = await listNodes(db, { limit: MAX_NODES });
    return nodes.filter(({ state }) => state !== 'lost');
  };
  const observations = (): Promise<StreamerObservation[]> => observeStreamers({ listStreamers, ...streamers });
  return { metrics, cluster, observations };
}

async function findStreamers(db: Database, deploymentId: string): Promise<readonly Streamer[] | undefined> {
  const [deployment, nodes] = await Promise.all([
    findDeployment(db, deploymentId),
    listNodesOfDeployment(db, deploymentId),
  ]);
  return deployment && nodes;
}
