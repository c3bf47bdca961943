import type { ClusterObservability } from '../metrics/cluster-observability.ts';
import { endJson, type HttpRoute } from './route.ts';

/**
 * `GET /metrics/observability`: the 24 counters of live metrics, summed over the nodes, and each node's under `nodes`.
 * A node whose streamer does not answer is listed as not reachable. Nothing of tenants is in it.
 */
export function createObservabilityRoute(cluster: Pick<ClusterObservability, 'read'>): HttpRoute {
  return {
    method: 'GET',
    path: '/metrics/observability',
    handler: async (_request, response) => endJson(response, 200, await cluster.read()),
  };
}
