import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Registry } from 'prom-client';

/** Where a role's own counters are read. */
export interface MetricsServerOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly registry: Registry;
}

/** A server that listens. */
export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** A scrape is one request of some hundred bytes; whoever is slower than this is none. Milliseconds. */
const REQUEST_MS = 5_000;

/**
 * Serves `GET /metrics` as Prometheus text, for roles that serve nothing else by plain HTTP. Nothing of tenants is in it;
 * it listens on the private address that the role is given, and nowhere unless a port is set.
 */
export async function openMetricsServer({ host, port, registry }: MetricsServerOptions): Promise<MetricsServer> {
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    registry.metrics().then(
      (text) =>
        response.writeHead(200, { 'content-type': registry.contentType, 'cache-control': 'no-store' }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  server.listen({ host, port });
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : port,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** The same where a port is set; `undefined` where none is. */
export async function openMetricsServerIf(
  port: number | undefined,
  options: Omit<MetricsServerOptions, 'port'>,
): Promise<MetricsServer | undefined> {
  return port === undefined ? undefined : await openMetricsServer({ ...options, port });
}
