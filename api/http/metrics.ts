import type { ApiTelemetry } from '../telemetry.ts';
import type { HttpRoute } from './route.ts';

/** `GET /metrics`: this process's own counters as Prometheus text. Nothing of tenants is in it. */
export function createMetricsRoute(telemetry: ApiTelemetry): HttpRoute {
  return {
    method: 'GET',
    path: '/metrics',
    handler: async (_request, response) => {
      const text = await telemetry.render();
      response.writeHead(200, { 'content-type': telemetry.contentType, 'cache-control': 'no-store' });
      response.end(text);
    },
  };
}
