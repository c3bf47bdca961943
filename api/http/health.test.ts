import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import type { MetricsHealth } from '../metrics/cluster-observability.ts';
import { createHealthRoute } from './health.ts';

const WELL: MetricsHealth = { healthy: true, consecutiveFailures: 0, degradationLevel: 0 };

async function answer(metrics: MetricsHealth): Promise<unknown> {
  const route = createHealthRoute({
    version: '1.2.3',
    pingDatabase: async () => undefined,
    observeMetrics: async () => metrics,
    draining: () => undefined,
  });
  let [status, body] = [0, ''];
  const response = {
    writeHead: (code: number) => {
      status = code;
    },
    end: (text: string) => {
      body = text;
    },
  };
  await route.handler({} as IncomingMessage, response as unknown as ServerResponse);
  return [status, JSON.parse(body)];
}

describe('GET /health', () => {
  it('is as the original platform’s while nothing is wrong', async () => {
    expect(await answer(WELL)).toEqual([200, { status: 'healthy', version: '1.2.3', metrics_healthy: true }]);
  });

  it('says how far collection has stepped back under load, and is healthy all the same', async () => {
    expect(await answer({ ...WELL, degradationLevel: 2 })).toMatchObject([
      200,
      { status: 'healthy', metrics_degradation_level: 2 },
    ]);
  });

  it('is 503 when collection fails', async () => {
    expect(await answer({ healthy: false, consecutiveFailures: 4, degradationLevel: 0 })).toEqual([
      503,
      { status: 'unhealthy', message: 'metrics collection unhealthy', consecutive_failures: 4 },
    ]);
  });
});
