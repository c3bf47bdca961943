import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLog } from '../../adapters/logging/log.ts';
import { openMetricsDatabase } from '../../adapters/timescale/metrics-database.ts';
import { createMetricsReader } from '../../adapters/timescale/metrics-reader.ts';
import { createControlTokenSigner } from '../../adapters/tokens/control-token.ts';
import { generateControlKey } from '../../adapters/tokens/keys.ts';
import { createDefaultCertificate } from '../../adapters/traefik/default-certificate.ts';
import { createStreamers } from '../../api/gateways/streamers.ts';
import { createTraefikConfigRoute } from '../../api/http/traefik-config.ts';
import { createStoredMetrics } from '../../api/metrics/stored-metrics.ts';
import { isContainer } from '../../api/metrics/stream-metrics.ts';
import { addRequests, countOf, NO_REQUESTS } from '../../domain/metrics/requests.ts';
import type { IngressSnapshot } from '../../domain/routing.ts';
import type { RequestSample } from '../../gen/obiente/cloud/v1/metrics_pb.ts';
import { startStreamer } from '../../workers/streamer.ts';
import { adminUrlOfRun } from '../support/database.ts';
import { DOCKER_SOCKET, openTestDocker, type TestDocker } from '../support/docker.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/postgres.ts';
import { startTraefik, type TestTraefik } from '../support/traefik.ts';

const NODE = 'node-of-this-test';
const TOKEN = 'the-token-of-this-test';
const DEPLOYMENT = '00000000-0000-4000-8000-00000000000a';
const HOST = 'counted.localhost';
const CANARY = 3;

const log = createLog({ role: 'test', level: 'silent' });
const signer = createControlTokenSigner(generateControlKey().privateJwk);
const streamers = createStreamers({ signer });

describe('requests through a real Traefik', () => {
  let folder: string;
  let corner: TestDocker;
  let database: TestDatabase;
  let traefik: TestTraefik;
  let api: Server;
  let application: Server;
  let environment: Record<string, string>;
  let role: Awaited<ReturnType<typeof startStreamer>>;
  let streamer: { nodeId: string; streamerUrl: string };
  let snapshot: IngressSnapshot = { generation: 1, routes: [] };
  let notify = (): void => undefined;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'obiente-requests-'));
    corner = await openTestDocker();
    database = await createEmptyDatabase(adminUrlOfRun());
    application = await listen(
      createServer((request, response) => {
        request.resume();
        const status = Number(new URL(request.url ?? '/', 'http://x').searchParams.get('status') ?? 200);
        request.on('end', () => response.writeHead(status).end(status === 304 ? '' : 'x'.repeat(1_000)));
      }),
    );
    const route = createTraefikConfigRoute({
      readSnapshot: async () => snapshot,
      subscribe: (listener) => {
        notify = listener;
        return () => undefined;
      },
      defaultCertificate: createDefaultCertificate({ directory: folder, domain: 'localhost' }),
      bearer: TOKEN,
      lastGoodFile: join(folder, 'last-good.json'),
      log,
    });
    api = await listen(createServer((request, response) => void route.handler(request, response)));
    traefik = await startTraefik({ configUrl: `http://127.0.0.1:${portOf(api)}/traefik/config`, token: TOKEN });
    const port = await freePort();
    streamer = { nodeId: NODE, streamerUrl: `http://127.0.0.1:${port}` };
    await mkdir(join(folder, 'node'), { recursive: true });
    await writeFile(join(folder, 'node', 'node-id'), `${NODE}\n`);
    await writeFile(join(folder, 'node', 'control-jwks.json'), signer.publicJwks);
    environment = {
      OBIENTE_INSTANCE: corner.instance,
      OBIENTE_STATE_DIR: join(folder, 'state'),
      NODE_KEY_DIR: join(folder, 'node'),
      STREAMER_GATEWAY_PORT: String(port),
      DOCKER_SOCKET: DOCKER_SOCKET,
      METRICS_DATABASE_URL: database.url,
      METRICS_INGRESS_URL: traefik.internalUrl,
      METRICS_COLLECTION_INTERVAL: '100ms',
      METRICS_STORAGE_INTERVAL: '1s',
    };
    const upstreams = [{ host: '127.0.0.1', port: portOf(application) }];
    const canary = { revision: CANARY, weightPercent: 50, upstreams };
    await serve({ id: 'route', hostname: HOST, deploymentId: DEPLOYMENT, service: 'app', upstreams, canary });
    role = await startStreamer(environment, log);
  }, 120_000);

  afterAll(async () => {
    await role?.stop();
    await traefik?.stop();
    for (const server of [api, application]) server?.close();
    await corner?.remove();
    await database?.drop();
    await rm(folder, { recursive: true, force: true });
  });

  async function serve(route: IngressSnapshot['routes'][number]): Promise<void> {
    snapshot = { generation: snapshot.generation + 1, routes: [route] };
    notify();
    await eventually(async () => expect(await ask()).toBe(200));
  }

  /** Asks once, over a connection of its own. */
  async function ask(status = 200, body = ''): Promise<number> {
    const { request } = await import('node:http');
    return await new Promise((resolve, reject) => {
      const asking = request(
        {
          ...{ host: '127.0.0.1', port: traefik.httpPort, path: `/?status=${status}`, agent: false },
          method: body === '' ? 'GET' : 'POST',
          headers: { host: HOST },
        },
        (answer) => {
          answer.resume();
          answer.on('end', () => resolve(answer.statusCode ?? 0));
        },
      );
      asking.on('error', reject);
      asking.end(body);
    });
  }

  async function live(): Promise<RequestSample | undefined> {
    const leave = new AbortController();
    const request = { deploymentId: DEPLOYMENT, afterMs: undefined };
    for await (const round of streamers.stream(streamer, request, leave.signal)) {
      leave.abort();
      return round.samples.filter((item) => !isContainer(item)).at(-1) as RequestSample | undefined;
    }
    return undefined;
  }

  async function stored() {
    const db = openMetricsDatabase(database.url);
    try {
      const reader = createStoredMetrics(createMetricsReader(db), Date.now);
      const range = { replicaIds: undefined, fromMs: Date.now() - 3_600_000, toMs: Date.now() + 60_000 };
      const rows = await reader.listRequestMinutes({ deploymentId: DEPLOYMENT, ...range });
      return rows.reduce((sum, { atMs: _, ...row }) => addRequests(sum, row), NO_REQUESTS);
    } finally {
      await db.destroy();
    }
  }

  it('are told live, each once, also those of a revision on trial', async () => {
    await eventually(async () => expect(await live()).toBeDefined());
    const before = (await live())?.requests ?? 0n;
    for (let index = 0; index < 40; index += 1) await ask();
    await eventually(async () => expect((await live())?.requests).toBe(before + 40n));
    expect(await streamers.countsRequests(streamer, AbortSignal.timeout(5_000))).toBe(true);
  });

  it('are stored to the last one, by class, size and time, over restarts of the ingress and of the streamer', async () => {
    await eventually(async () => expect((await stored()).requests).toBeGreaterThan(0));
    const before = await live();
    const settled = await eventually(async () => {
      const sums = await stored();
      expect(BigInt(sums.requests)).toBe(before?.requests);
      return sums;
    });
    for (const status of [200, 304, 404, 404, 500, 503]) await ask(status);
    await ask(200, 'y'.repeat(5_000));
    await eventually(async () => expect((await live())?.requests).toBe((before?.requests ?? 0n) + 7n));
    await role.stop();
    await ask(404);
    role = await startStreamer(environment, log);
    await eventually(async () => expect((await stored()).status4xx).toBe(settled.status4xx + 3));
    await traefik.restart('SIGKILL');
    await eventually(async () => expect(await ask()).toBe(200));
    await ask(500);
    await eventually(async () => expect((await stored()).status5xx).toBe(settled.status5xx + 3));
    const sums = await stored();
    expect(sums.status3xx).toBe(settled.status3xx + 1);
    expect(sums.bytesIn - settled.bytesIn).toBe(5_000);
    expect(sums.bytesOut - settled.bytesOut).toBeGreaterThanOrEqual(8_000);
    expect(countOf(sums)).toBe(sums.requests);
    expect(sums.latencySumMicros).toBeGreaterThan(0);
  });

  it('are not told to the world: the public entry points do not know the counters', async () => {
    for (const path of ['/metrics', '/ping', '/.obiente/generation']) {
      for (const host of [HOST, 'localhost', '127.0.0.1', 'internal']) {
        const answer = await fetch(`http://127.0.0.1:${traefik.httpPort}${path}`, { headers: { host } });
        expect(await answer.text()).not.toContain('traefik_');
      }
    }
    expect(await (await fetch(`${traefik.internalUrl}/metrics`)).text()).toContain('traefik_');
  });
});

async function listen(server: Server): Promise<Server> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
