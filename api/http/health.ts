import type { MetricsHealth } from '../metrics/cluster-observability.ts';
import { endJson, type HttpRoute } from './route.ts';

/** What the health answer is made of. */
export interface HealthDeps {
  readonly version: string;
  /** Asks the database for one row; rejects when it does not answer. */
  readonly pingDatabase: () => Promise<void>;
  /** How the collection of metrics stands on all nodes. */
  readonly observeMetrics: () => Promise<MetricsHealth>;
  /** Why the process takes no new work; `undefined` while it does. */
  readonly draining: () => string | undefined;
}

/**
 * `GET /health`: 200 while this process can serve, 503 with the reason when it cannot: it drains, the database does not
 * answer, or the collection of metrics fails.
 */
export function createHealthRoute(deps: HealthDeps): HttpRoute {
  return {
    method: 'GET',
    path: '/health',
    handler: async (_request, response) => {
      const reason = deps.draining();
      if (reason !== undefined) return endJson(response, 503, { status: 'unhealthy', message: 'draining', reason });
      if (!(await answers(deps.pingDatabase))) {
        return endJson(response, 503, { status: 'unhealthy', message: 'database unavailable' });
      }
      const metrics = await deps.observeMetrics();
      if (metrics.healthy) {
        // It is healthy all the same: there are fewer samples, and none of what is stored is missing.
        const strained = metrics.degradationLevel > 0 ? { metrics_degradation_level: metrics.degradationLevel } : {};
        return endJson(response, 200, { status: 'healthy', version: deps.version, metrics_healthy: true, ...strained });
      }
      const failures = { consecutive_failures: metrics.consecutiveFailures };
      endJson(response, 503, { status: 'unhealthy', message: 'metrics collection unhealthy', ...failures });
    },
  };
}

async function answers(ping: () => Promise<void>): Promise<boolean> {
  try {
    await ping();
    return true;
  } catch {
    // Why is in the log of whoever needs the database; here it only counts that it does not answer.
    return false;
  }
}
