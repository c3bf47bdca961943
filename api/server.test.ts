import { Agent, get, request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { type Client, Code, ConnectError, createClient, type Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLog } from '../adapters/logging/log.ts';
import { DeploymentsService } from '../gen/obiente/cloud/v1/deployments_pb.ts';
import { IdentityService } from '../gen/obiente/cloud/v1/identity_pb.ts';
import { endJson } from './http/route.ts';
import { createErrorInterceptor } from './interceptors/errors.ts';
import { type ApiServer, openApiServer } from './server.ts';

const ORIGIN = 'https://dashboard.example';

let server: ApiServer;
let releaseCall: () => void;

/** A stream of one message that then waits for its signal, and a call that waits for the test. */
async function start(): Promise<void> {
  const log = createLog({ role: 'test', level: 'silent' });
  const held = new Promise<void>((resolve) => {
    releaseCall = resolve;
  });
  server = await openApiServer({
    host: '127.0.0.1',
    port: 0,
    log,
    corsOrigins: [ORIGIN],
    httpRoutes: [{ method: 'GET', path: '/health', handler: (_, response) => endJson(response, 200, { ok: true }) }],
    routes: (router) => {
      const interceptors = [createErrorInterceptor(log)];
      router.service(IdentityService, { whoAmI: () => ({ subject: 'somebody' }) }, { interceptors });
      router.service(DeploymentsService, {
        getDeployment: async () => {
          await held;
          return {};
        },
        watchDeployment: async function* (_request, { signal }) {
          yield { sequence: 1n };
          await new Promise((_, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
          );
        },
      });
    },
  });
}

function url(path = ''): string {
  return `http://127.0.0.1:${server.port}${path}`;
}

const TRANSPORTS: Record<string, () => Transport> = {
  'Connect over HTTP/1.1': () => createConnectTransport({ baseUrl: url(), httpVersion: '1.1' }),
  'Connect over HTTP/2': () => createConnectTransport({ baseUrl: url(), httpVersion: '2' }),
  'gRPC over HTTP/2': () => createGrpcTransport({ baseUrl: url() }),
  'gRPC-Web over HTTP/1.1': () => createGrpcWebTransport({ baseUrl: url(), httpVersion: '1.1' }),
};

describe('the server', () => {
  beforeEach(start);
  afterEach(async () => {
    releaseCall();
    await server.stop(0);
  });

  it.each(Object.entries(TRANSPORTS))('answers calls and streams by %s', async (_name, transport) => {
    const identity = createClient(IdentityService, transport());
    expect((await identity.whoAmI({})).subject).toBe('somebody');
    const leave = new AbortController();
    const events = watch(transport(), leave.signal);
    expect((await events.next()).value?.sequence).toBe(1n);
    leave.abort();
    await expect(events.next()).rejects.toMatchObject({ code: Code.Canceled });
  });

  it('answers JSON as curl sends it', async () => {
    const response = await fetch(url('/obiente.cloud.v1.IdentityService/WhoAmI'), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    expect(await response.json()).toEqual({ subject: 'somebody' });
  });

  it('refuses JSON with a field that no message has, naming it', async () => {
    const response = await fetch(url('/obiente.cloud.v1.IdentityService/WhoAmI'), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"misspelt": 1}',
    });
    expect(await response.json()).toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('misspelt'),
    });
  });

  it('answers plain endpoints over both protocols, and JSON for what does not exist', async () => {
    expect(await (await fetch(url('/health?x=1'))).json()).toEqual({ ok: true });
    expect(await getByHttp2('/health')).toBe('{"ok":true}');
    const missing = await fetch(url('/debug'));
    expect([missing.status, await missing.json()]).toEqual([404, { code: 'not_found', message: 'no such endpoint' }]);
    expect((await fetch(url('/health'), { method: 'POST' })).status).toBe(405);
  });

  it('lets pages of configured origins call, and no others', async () => {
    const preflight = (origin: string) =>
      fetch(url('/obiente.cloud.v1.IdentityService/WhoAmI'), {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST' },
      });
    const allowed = await preflight(ORIGIN);
    expect(allowed.headers.get('access-control-allow-origin')).toBe(ORIGIN);
    expect(allowed.headers.get('access-control-allow-headers')).toContain('authorization');
    expect((await preflight('https://evil.example')).headers.get('access-control-allow-origin')).toBeNull();
  });

  it('refuses a message above 4 MiB, compressed ones too', async () => {
    const call = (body: Buffer | string, encoding = 'identity') =>
      fetch(url('/obiente.cloud.v1.IdentityService/WhoAmI'), {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-encoding': encoding },
        body,
      });
    const large = JSON.stringify({ x: 'a'.repeat(5 * 1024 * 1024) });
    expect(await (await call(large)).json()).toMatchObject({ code: 'resource_exhausted' });
    const { gzipSync } = await import('node:zlib');
    expect(await (await call(gzipSync(large), 'gzip')).json()).toMatchObject({ code: 'resource_exhausted' });
  });

  it('survives requests that are none', async () => {
    const noise = ['GET /health HTTP/1.0\r\n\r\n', 'POST /obiente.cloud.v1.IdentityService/WhoAmI HTTP/1.0\r\n\r\n'];
    const badHost = 'POST /obiente.cloud.v1.IdentityService/WhoAmI HTTP/1.1\r\nhost: [\r\ncontent-length: 0\r\n\r\n';
    for (const bytes of [...noise, badHost, 'PRI * HTTP/9\r\n\r\n', 'PR', '\0\0\0\0']) await say(bytes);
    expect((await fetch(url('/health'))).status).toBe(200);
  });

  it('takes a preface that arrives byte by byte', async () => {
    const socket = connect(server.port, '127.0.0.1');
    const answer = new Promise<Buffer>((resolve) => socket.once('data', resolve));
    for (const byte of 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n') {
      await new Promise((resolve) => socket.write(byte, resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
    expect((await answer)[3]).toBe(4);
    socket.destroy();
  });

  it.each(Object.entries(TRANSPORTS))(
    'ends streams as retryable and lets calls finish when it stops: %s',
    async (_name, transport) => {
      const events = watch(transport());
      await events.next();
      const call = createClient(DeploymentsService, transport()).getDeployment({});
      await reached(call);
      const stopped = server.stop(60_000);
      await expect(events.next()).rejects.toMatchObject({ code: Code.Unavailable });
      expect(server.draining()).toBeDefined();
      releaseCall();
      await call;
      await stopped;
      await expect(fetch(url('/health'))).rejects.toThrow();
    },
  );

  it('closes idle keep-alive connections when it stops, and stuck ones after the grace', async () => {
    const agent = new Agent({ keepAlive: true });
    await new Promise((resolve) => get(url('/health'), { agent }, (response) => response.resume().on('end', resolve)));
    const stuck = request(url('/obiente.cloud.v1.DeploymentsService/GetDeployment'), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
    });
    const ended = new Promise((resolve) => stuck.once('error', resolve));
    stuck.end('{}');
    await new Promise((resolve) => stuck.once('finish', resolve));
    await server.stop(50);
    expect(await ended).toBeInstanceOf(Error);
    agent.destroy();
  });
});

function watch(transport: Transport, signal?: AbortSignal) {
  const client: Client<typeof DeploymentsService> = createClient(DeploymentsService, transport);
  return client.watchDeployment({}, signal ? { signal } : {})[Symbol.asyncIterator]();
}

/** Until the server has taken up a call that was sent: later calls of other connections answer after it. */
async function reached(call: Promise<unknown>): Promise<void> {
  call.catch((error: unknown) => expect(error).toBeInstanceOf(ConnectError));
  for (let turn = 0; turn < 20; turn += 1) await fetch(url('/health')).then((response) => response.text());
}

async function say(bytes: string): Promise<void> {
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => undefined);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.resume();
  socket.end(bytes);
  await closed;
}

async function getByHttp2(path: string): Promise<string> {
  const session = connectHttp2(url());
  const chunks: Buffer[] = [];
  for await (const chunk of session.request({ ':path': path })) chunks.push(chunk);
  session.close();
  return Buffer.concat(chunks).toString();
}
