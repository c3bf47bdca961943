import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Probe, startProber, toLosses } from '../support/prober.ts';

function aFailure(atMs: number, outcome: Probe['outcome'] = 502): Probe {
  return { atMs, connection: 'kept', outcome, body: '' };
}

describe('a prober', () => {
  it('asks on kept connections and on new ones, and remembers every failure', async () => {
    let asked = 0;
    let connections = 0;
    const server = createServer((_, response) => {
      asked += 1;
      response.statusCode = asked === 4 ? 502 : 200;
      response.end('body');
    });
    server.on('connection', () => {
      connections += 1;
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const prober = startProber({ port: (server.address() as AddressInfo).port, host: 'app.test', perSecond: 100 });
    await eventually(() => expect(prober.probes.length).toBeGreaterThanOrEqual(10));
    const { total, failed, losses } = await prober.stop();
    server.close();
    expect(total).toBe(asked);
    expect(connections).toBeLessThan(asked);
    expect(connections).toBeGreaterThan(asked / 2 - 1);
    expect(failed).toMatchObject([{ outcome: 502 }]);
    expect(losses).toMatchObject([{ requests: 1 }]);
  });

  it('gathers failures that are close together into one loss, with times and outcomes', () => {
    const losses = toLosses([aFailure(5_000), aFailure(1_000), aFailure(1_900, 'ECONNRESET'), aFailure(2_800)]);
    expect(losses.map(({ requests, outcomes }) => ({ requests, outcomes }))).toEqual([
      { requests: 3, outcomes: { 'kept 502': 2, 'kept ECONNRESET': 1 } },
      { requests: 1, outcomes: { 'kept 502': 1 } },
    ]);
    const [first] = losses;
    expect(Date.parse(first?.until ?? '') - Date.parse(first?.from ?? '')).toBe(1_800);
  });
});
