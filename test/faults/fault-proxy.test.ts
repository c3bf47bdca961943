import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { connect, createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, connect as connectSocket, createServer as createSocketServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Endpoint, type FaultProxyOptions, startFaultProxy } from './fault-proxy.ts';
import type { Moment } from './fault-rules.ts';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

/** Listens at an address of the kind asked for until the test ends. */
async function listen(server: Server, on: 'unix' | 'tcp'): Promise<Endpoint> {
  const folder = await mkdtemp(join(tmpdir(), 'obiente-test-'));
  const socketPath = join(folder, 'server.sock');
  server.listen(on === 'unix' ? { path: socketPath } : { port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  stack.defer(async () => {
    server.close();
    await rm(folder, { recursive: true });
  });
  return on === 'unix' ? { socketPath } : { port: (server.address() as AddressInfo).port };
}

/** A server that answers with the number of calls that it has carried out, behind a proxy. */
async function aServer(unit: FaultProxyOptions['unit'], on: 'unix' | 'tcp', random?: () => number) {
  const carriedOut: string[] = [];
  const to = await listen(SERVERS[unit](carriedOut), on);
  const proxy = await startFaultProxy({ to, unit, ...(random ? { random } : {}) });
  stack.defer(proxy.stop);
  return {
    proxy,
    carriedOut,
    ask: (path = '/do', timeoutMs = 5_000) => CLIENTS[unit](proxy.endpoint, path, timeoutMs),
  };
}

const SERVERS: Record<FaultProxyOptions['unit'], (carriedOut: string[]) => Server> = {
  http: (carriedOut) =>
    createServer((incoming, outgoing) => {
      incoming.resume().once('end', () => {
        carriedOut.push(incoming.url ?? '');
        outgoing.end(String(carriedOut.length));
      });
    }),
  grpc: (carriedOut) => {
    const server = createHttp2Server();
    server.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      stream.resume().once('end', () => {
        carriedOut.push(headers[':path'] ?? '');
        stream.respond({ ':status': 200 }, { waitForTrailers: true });
        stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end(String(carriedOut.length));
      });
    });
    return server as unknown as Server;
  },
  connection: (carriedOut) =>
    createSocketServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (path) => {
        carriedOut.push(path.toString());
        socket.end(String(carriedOut.length));
      });
    }),
};

const CLIENTS: Record<FaultProxyOptions['unit'], (to: Endpoint, path: string, timeoutMs: number) => Promise<string>> = {
  http: (to, path, timeoutMs) =>
    new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(timeoutMs);
      const sent = request({ ...to, host: '127.0.0.1', method: 'POST', path, agent: false, signal }, (answer) => {
        let body = '';
        answer.on('data', (chunk) => {
          body += chunk;
        });
        answer.on('end', () => resolve(body));
      });
      sent.on('error', reject).end('body');
    }),
  grpc: async (to, path, timeoutMs) => {
    const session = connect(`http://127.0.0.1:${'port' in to ? to.port : 0}`);
    try {
      return await new Promise<string>((resolve, reject) => {
        session.on('error', reject);
        const stream = session.request({ ':method': 'POST', ':path': path });
        const late = setTimeout(() => reject(new Error('timeout')), timeoutMs);
        let body = '';
        let status: unknown;
        stream.on('error', reject);
        stream.on('data', (chunk) => {
          body += chunk;
        });
        stream.on('trailers', (trailers) => {
          status = trailers['grpc-status'];
        });
        stream.once('close', () => {
          clearTimeout(late);
          if (status === '0') resolve(body);
          else reject(new Error('closed without a status'));
        });
        stream.end('body');
      });
    } finally {
      session.destroy();
    }
  },
  connection: (to, path, timeoutMs) =>
    new Promise((resolve, reject) => {
      const socket = connectSocket('port' in to ? { port: to.port, host: '127.0.0.1' } : { path: to.socketPath });
      socket.setTimeout(timeoutMs, () => socket.destroy(new Error('timeout')));
      let answer = '';
      socket.on('data', (chunk) => {
        answer += chunk;
      });
      socket.on('error', reject);
      socket.once('close', () => (answer === '' ? reject(new Error('closed without an answer')) : resolve(answer)));
      socket.write(path);
    }),
};

const KINDS = [
  ['http', 'unix'],
  ['http', 'tcp'],
  ['grpc', 'tcp'],
  ['connection', 'unix'],
  ['connection', 'tcp'],
] as const;

describe.each(KINDS)('a fault proxy for %s over %s', (unit, on) => {
  it('passes everything on while there is no rule', async () => {
    const { ask, carriedOut } = await aServer(unit, on);
    expect([await ask('/one'), await ask('/two')]).toEqual(['1', '2']);
    expect(carriedOut).toEqual(['/one', '/two']);
  });

  it.each(['drop', 'reset'] as const)('does not forward what it has to %s', async (kind) => {
    const { proxy, ask, carriedOut } = await aServer(unit, on);
    proxy.add({ calls: /./, fault: { kind }, times: 1 });
    await expect(ask()).rejects.toThrow();
    expect(carriedOut).toEqual([]);
    expect(await ask()).toBe('1');
    expect(proxy.hits).toMatchObject([{ kind }]);
  });

  it('accepts and sends nothing when half open', async () => {
    const { proxy, ask, carriedOut } = await aServer(unit, on);
    proxy.add({ calls: /./, fault: { kind: 'half-open' } });
    await expect(ask('/do', 200)).rejects.toThrow();
    expect(carriedOut).toEqual([]);
  });

  it('lets a swallowed call be carried out, and never answers it', async () => {
    const { proxy, ask, carriedOut } = await aServer(unit, on);
    proxy.add({ calls: /./, fault: { kind: 'swallow' }, times: 1 });
    await expect(ask('/do', 200)).rejects.toThrow();
    expect(carriedOut).toEqual(['/do']);
    expect(await ask()).toBe('2');
  });

  it('forwards a delayed call after its delay', async () => {
    const { proxy, ask } = await aServer(unit, on);
    proxy.add({ calls: /./, fault: { kind: 'delay', ms: 150 } });
    const askedAt = performance.now();
    expect(await ask()).toBe('1');
    expect(performance.now() - askedAt).toBeGreaterThanOrEqual(145);
  });

  it('takes no connections while interrupted, and the same as before afterwards', async () => {
    const { proxy, ask } = await aServer(unit, on);
    await proxy.interrupt();
    await expect(ask()).rejects.toThrow();
    await proxy.resume();
    expect(await ask()).toBe('1');
  });
});

describe.each([
  ['http', 'unix'],
  ['grpc', 'tcp'],
] as const)('a strike on a call of %s', (unit, on) => {
  it.each<[Moment, readonly string[], string | undefined]>([
    ['arrived', [], undefined],
    ['sent', ['/do'], undefined],
    ['answered', ['/do'], undefined],
    ['passed', ['/do'], '1'],
  ])('comes when it has %s', async (at, wanted, answer) => {
    const { proxy, ask, carriedOut } = await aServer(unit, on);
    let strikes = 0;
    const strike = (): void => {
      strikes += 1;
    };
    proxy.add({ calls: /./, fault: { kind: 'strike', at, strike }, times: 1 });
    expect(await ask('/do', 300).catch(() => undefined)).toBe(answer);
    await eventually(() => expect(strikes).toBe(1));
    expect(carriedOut).toEqual(wanted);
    expect(await ask()).toBe(String(wanted.length + 1));
  });

  it('is carried out although the caller has died', async () => {
    const { proxy, ask, carriedOut } = await aServer(unit, on);
    const abandoned = Promise.withResolvers<void>();
    proxy.add({ calls: /./, fault: { kind: 'strike', at: 'sent', strike: () => abandoned.resolve() }, times: 1 });
    await expect(ask('/do', 50)).rejects.toThrow();
    await abandoned.promise;
    await eventually(() => expect(carriedOut).toEqual(['/do']));
  });
});

it('tells a caller of gRPC that the server ends its connection, whose calls are still answered', async () => {
  const answering = Promise.withResolvers<void>();
  const server = createHttp2Server();
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.session?.close();
    void answering.promise.then(() => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end('x'.repeat(100_000));
    });
  });
  const proxy = await startFaultProxy({ to: await listen(server as unknown as Server, 'tcp'), unit: 'grpc' });
  stack.defer(proxy.stop);
  const session = connect(`http://127.0.0.1:${'port' in proxy.endpoint ? proxy.endpoint.port : 0}`);
  stack.defer(() => session.destroy());
  const call = session.request({ ':method': 'POST', ':path': '/do' });
  const ended = once(session, 'goaway');
  const closed = once(session, 'close');
  let length = 0;
  call.on('data', (chunk) => {
    length += chunk.length;
  });
  call.end('body');
  await ended;
  const trailers = once(call, 'trailers');
  answering.resolve();
  expect((await trailers)[0]).toMatchObject({ 'grpc-status': '0' });
  expect(length).toBe(100_000);
  await closed;
});

describe('the rules of a fault proxy', () => {
  it('leave out the first calls when told to', async () => {
    const { proxy, ask } = await aServer('http', 'tcp');
    proxy.add({ calls: /\/do/, fault: { kind: 'drop' }, skip: 1, times: 1 });
    expect(await ask()).toBe('1');
    await expect(ask()).rejects.toThrow();
    expect(await ask()).toBe('2');
    expect(proxy.seen(/\/do/)).toBe(3);
  });

  it('strike each call once and let its repetition pass', async () => {
    const { proxy, ask } = await aServer('http', 'tcp');
    proxy.add({ calls: /./, fault: { kind: 'drop' }, oncePerCall: true });
    await expect(ask('/one')).rejects.toThrow();
    await expect(ask('/two')).rejects.toThrow();
    expect([await ask('/one'), await ask('/two')]).toEqual(['1', '2']);
  });

  it('strike by chance as the numbers say', async () => {
    const numbers = [0.05, 0.5, 0.09];
    const { proxy, ask } = await aServer('http', 'tcp', () => numbers.shift() ?? 1);
    proxy.add({ calls: /./, fault: { kind: 'drop' }, probability: 0.1 });
    const outcomes = await [1, 2, 3].reduce<Promise<string[]>>(
      async (before, _) => [
        ...(await before),
        await ask().then(
          () => 'passed',
          () => 'dropped',
        ),
      ],
      Promise.resolve([]),
    );
    expect(outcomes).toEqual(['dropped', 'passed', 'dropped']);
  });

  it('no longer count when they are taken away', async () => {
    const { proxy, ask } = await aServer('http', 'tcp');
    const takeAway = proxy.add({ calls: /./, fault: { kind: 'drop' } });
    await expect(ask()).rejects.toThrow();
    takeAway();
    expect(await ask()).toBe('1');
  });
});
