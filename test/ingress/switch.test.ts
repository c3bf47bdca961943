import { mkdtemp, rm } from 'node:fs/promises';
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  request,
  type Server,
} from 'node:http';
import { request as requestSecurely } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLog } from '../../adapters/logging/log.ts';
import { createDefaultCertificate } from '../../adapters/traefik/default-certificate.ts';
import { createIngressProbe } from '../../adapters/traefik/generation-probe.ts';
import { createTraefikConfigRoute } from '../../api/http/traefik-config.ts';
import type { IngressSnapshot } from '../../domain/routing.ts';
import { eventually } from '../support/eventually.ts';
import { startTraefik, type TestTraefik } from '../support/traefik.ts';

const TOKEN = 'the-token-of-this-test';
const HOST = 'app.localhost';
const SWITCHES = 20;

describe('a real Traefik', () => {
  let folder: string;
  let traefik: TestTraefik;
  let api: Server;
  let snapshot: IngressSnapshot = { generation: 1, routes: [] };
  let notify: () => void = () => {};
  let mode: 'routes' | 'database away' | 'broken' = 'routes';
  let brokenAnswers = 0;
  const replicas: Server[] = [];
  const clients: Agent[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'obiente-switch-'));
    api = await openApi(0);
    const configUrl = `http://127.0.0.1:${portOf(api)}/traefik/config`;
    traefik = await startTraefik({ configUrl, token: TOKEN });
  }, 60_000);

  afterAll(async () => {
    await traefik.stop();
    for (const client of clients) client.destroy();
    for (const server of [api, ...replicas]) await closed(server);
    await rm(folder, { recursive: true });
  });

  async function openApi(port: number): Promise<Server> {
    const route = createTraefikConfigRoute({
      readSnapshot: async () => {
        if (mode === 'database away') throw new Error('the database is away');
        return snapshot;
      },
      subscribe: (listener) => {
        notify = listener;
        return () => {};
      },
      defaultCertificate: createDefaultCertificate({ directory: folder, domain: 'localhost' }),
      bearer: TOKEN,
      lastGoodFile: join(folder, 'last-good.json'),
      log: createLog({ role: 'test', level: 'silent' }),
    });
    const server = createServer((request, response) => {
      if (mode === 'broken') {
        brokenAnswers += 1;
        response.writeHead(200).end('{"http":{"routers":{}}}');
      } else void route.handler(request, response);
    });
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    return server;
  }

  function portOf(server: Server): number {
    return (server.address() as AddressInfo).port;
  }

  async function closed(server: Server): Promise<void> {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  async function aReplica(answer: string | ((headers: IncomingHttpHeaders) => string)): Promise<Server> {
    const server = createServer((request, response) => {
      response.end(typeof answer === 'string' ? answer : answer(request.headers));
    });
    replicas.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  function route(...servers: Server[]): void {
    const upstreams = servers.map((server) => ({ host: '127.0.0.1', port: portOf(server) }));
    const generation = snapshot.generation + 1;
    snapshot = {
      generation,
      routes: [{ id: 'r', hostname: HOST, deploymentId: 'd', service: 'app', upstreams, canary: null }],
    };
    notify();
  }

  async function confirmed(generation = snapshot.generation): Promise<void> {
    const probe = createIngressProbe({ urls: [traefik.internalUrl] });
    const signal = new AbortController().signal;
    await probe.awaitGeneration({ generation, timeoutMs: 40_000, signal, onProgress: () => {} });
    probe.close();
  }

  async function ask(
    agent: Agent,
    more: OutgoingHttpHeaders = {},
    method = 'GET',
  ): Promise<{ status: number; body: string }> {
    return await new Promise((resolve, reject) => {
      const options = { port: traefik.httpPort, agent, method, headers: { host: HOST, ...more } };
      request(options, (response) => {
        void response.toArray().then((parts) => {
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() });
        }, reject);
      })
        .on('error', reject)
        .end(method === 'POST' ? 'a body' : undefined);
    });
  }

  /** What Traefik has counted of replicas that could not be reached; the client need not have noticed. */
  async function refusals(): Promise<string[]> {
    const metrics = await (await fetch(`${traefik.internalUrl}/metrics`)).text();
    return metrics.split('\n').filter((line) => /^traefik_service_requests_total\{code="502"/.test(line));
  }

  function aClient(keepAlive: boolean): Agent {
    const client = new Agent({ keepAlive });
    clients.push(client);
    return client;
  }

  it('answers 404 for hosts without a route and 503 for a route without a replica', async () => {
    await confirmed();
    const client = aClient(true);
    expect(await ask(client)).toMatchObject({ status: 404 });
    route();
    await confirmed();
    expect(await ask(client)).toMatchObject({ status: 503 });
  });

  it('serves HTTPS with the platform certificate', async () => {
    route(await aReplica('secure'));
    await confirmed();
    const issuer = await new Promise((resolve, reject) => {
      const options = { port: traefik.httpsPort, host: '127.0.0.1', servername: HOST, headers: { host: HOST } };
      const sent = requestSecurely({ ...options, rejectUnauthorized: false }, (response) => {
        const { issuer } = (response.socket as import('node:tls').TLSSocket).getPeerCertificate();
        response.resume().on('end', () => resolve([response.statusCode, issuer.CN]));
      });
      sent.on('error', reject).end();
    });
    expect(issuer).toEqual([200, 'Obiente Cloud']);
  });

  it('tells the application the name that was asked for, and nothing that a client made up about itself', async () => {
    route(await aReplica((headers) => JSON.stringify(headers)));
    await confirmed();
    const made = {
      'x-forwarded-for': '6.6.6.6',
      x_forwarded_for: '6.6.6.6',
      'x.real.ip': '6.6.6.6',
      'x-real-ip': '6.6.6.6',
    };
    const { body } = await ask(aClient(true), made);
    expect(JSON.parse(body)).toMatchObject({ host: HOST, 'x-forwarded-host': HOST, 'x-forwarded-for': '127.0.0.1' });
    expect(body).not.toContain('6.6.6.6');
  });

  it('switches replicas without a failed request', async () => {
    let current = await aReplica('v0');
    route(current);
    await confirmed();
    let isOver = false;
    const failures: unknown[] = [];
    let requests = 0;
    const prober = async (client: Agent): Promise<void> => {
      while (!isOver) {
        const answer = await ask(client).catch((error: unknown) => error);
        requests += 1;
        if ((answer as { status?: number }).status !== 200) failures.push(answer);
      }
    };
    const probers = [aClient(true), aClient(true), aClient(false), aClient(false)].map(prober);
    for (let version = 1; version <= SWITCHES; version += 1) {
      const next = await aReplica(`v${version}`);
      route(current, next);
      await confirmed();
      route(next);
      await confirmed();
      const previous = current;
      current = next;
      await new Promise((resolve) => {
        previous.close(resolve);
        previous.closeIdleConnections();
      });
    }
    isOver = true;
    await Promise.all(probers);
    expect(failures).toEqual([]);
    expect(await refusals()).toEqual([]);
    expect(requests).toBeGreaterThan(SWITCHES);
    expect(await ask(aClient(true))).toEqual({ status: 200, body: `v${SWITCHES}` });
  }, 60_000);

  it('hands what a replica refuses to another one, a POST as well, and once', async () => {
    let answered = 0;
    const sound = await aReplica(() => {
      answered += 1;
      return 'once';
    });
    const refusing = await aReplica('never');
    route(sound, refusing);
    await confirmed();
    await closed(refusing);
    const client = aClient(false);
    const statuses: number[] = [];
    for (let asked = 0; asked < 10; asked += 1) statuses.push((await ask(client, {}, 'POST')).status);
    expect([new Set(statuses), answered]).toEqual([new Set([200]), 10]);
    expect(await refusals()).not.toEqual([]);
  });

  it('keeps its routes while the API answers nonsense, and takes the next snapshot after it', async () => {
    route(await aReplica('before'));
    await confirmed();
    mode = 'broken';
    api.closeAllConnections();
    await eventually(() => expect(brokenAnswers).toBeGreaterThan(0));
    expect(await ask(aClient(true))).toEqual({ status: 200, body: 'before' });
    mode = 'routes';
    route(await aReplica('after'));
    await confirmed();
    expect(await ask(aClient(true))).toEqual({ status: 200, body: 'after' });
  }, 60_000);

  it('keeps its routes while the API is down, and takes the next snapshot after it', async () => {
    const port = portOf(api);
    await closed(api);
    expect(await ask(aClient(true))).toEqual({ status: 200, body: 'after' });
    api = await openApi(port);
    route(await aReplica('later'));
    await confirmed();
    expect(await ask(aClient(true))).toEqual({ status: 200, body: 'later' });
  }, 60_000);

  it('serves the kept routes after a restart of both while the database is away', async () => {
    const port = portOf(api);
    mode = 'database away';
    await closed(api);
    api = await openApi(port);
    await traefik.restart('SIGKILL');
    await eventually(async () => expect(await ask(aClient(true))).toEqual({ status: 200, body: 'later' }));
    mode = 'routes';
    route(await aReplica('healed'));
    await confirmed();
    expect(await ask(aClient(true))).toEqual({ status: 200, body: 'healed' });
  }, 60_000);
});
