import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createIngressProbe } from './generation-probe.ts';

describe('createIngressProbe', () => {
  const servers: Server[] = [];
  const probes: { close(): void }[] = [];
  afterEach(() => {
    for (const probe of probes.splice(0)) probe.close();
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  /** An ingress that serves the next of these generations at each look, and the last one for ever. */
  async function anIngress(...generations: (number | undefined)[]): Promise<string> {
    const server = createServer((_request, response) => {
      const generation = generations.length > 1 ? generations.shift() : generations[0];
      if (generation === undefined) response.writeHead(404).end();
      else response.writeHead(200, { 'x-obiente-generation': String(generation) }).end('OK');
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  function awaitGeneration(
    urls: string[],
    generation: number,
    options: { timeoutMs?: number; signal?: AbortSignal } = {},
  ) {
    const probe = createIngressProbe({ urls });
    probes.push(probe);
    const onProgress = vi.fn();
    const done = probe.awaitGeneration({
      generation,
      timeoutMs: options.timeoutMs ?? 5_000,
      signal: options.signal ?? new AbortController().signal,
      onProgress,
    });
    return { done, onProgress };
  }

  it('resolves once the wanted generation is served, telling its progress at each look', async () => {
    const { done, onProgress } = awaitGeneration([await anIngress(undefined, 4, 4, 5)], 5);
    await done;
    expect(onProgress).toHaveBeenCalledTimes(4);
  });

  it('takes a later generation for the wanted one', async () => {
    await awaitGeneration([await anIngress(9)], 5).done;
  });

  it('waits for every ingress and names the one that lags', async () => {
    const lagging = await anIngress(4);
    const { done } = awaitGeneration([await anIngress(5), lagging], 5, { timeoutMs: 100 });
    await expect(done).rejects.toMatchObject({
      code: 'INGRESS_UNCONFIRMED',
      message: `waited 100 ms for the ingress at ${lagging} to serve generation 5: it serves generation 4`,
    });
  });

  it('never takes an ingress that is down for one that serves', async () => {
    const url = await anIngress(5);
    for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
    const { done } = awaitGeneration([url], 5, { timeoutMs: 50 });
    await expect(done).rejects.toMatchObject({
      code: 'INGRESS_UNCONFIRMED',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('ends with the reason of its caller when it is cancelled', async () => {
    const cancel = new AbortController();
    const { done } = awaitGeneration([await anIngress(1)], 5, { signal: cancel.signal });
    cancel.abort(new Error('cancelled by the test'));
    await expect(done).rejects.toThrow('cancelled by the test');
  });
});
