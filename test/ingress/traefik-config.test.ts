import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { Agent, createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLog } from '../../adapters/logging/log.ts';
import { createDefaultCertificate } from '../../adapters/traefik/default-certificate.ts';
import { createTraefikConfigRoute, type TraefikConfigRoute } from '../../api/http/traefik-config.ts';
import type { IngressSnapshot } from '../../domain/routing.ts';

const BEARER = 'the-token-of-this-test';
const silent = createLog({ role: 'test', level: 'silent' });

describe('GET /traefik/config', () => {
  let folder: string;
  let agent: Agent;
  let server: Server;
  let route: TraefikConfigRoute;
  let snapshot: IngressSnapshot;
  let isDatabaseDown: boolean;
  let notify: () => void;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'obiente-route-'));
    agent = new Agent({ keepAlive: true, maxSockets: 1 });
    isDatabaseDown = false;
    snapshot = aSnapshot(1);
    await open();
  });

  afterEach(async () => {
    await close();
    await rm(folder, { recursive: true });
  });

  async function open(holdMs = 10_000): Promise<void> {
    const defaultCertificate = createDefaultCertificate({ directory: folder, domain: 'localhost' });
    route = createTraefikConfigRoute({
      readSnapshot: async () => {
        if (isDatabaseDown) throw new Error('the database is away');
        return snapshot;
      },
      subscribe: (listener) => {
        notify = listener;
        return () => {};
      },
      defaultCertificate,
      bearer: BEARER,
      lastGoodFile: join(folder, 'last-good.json'),
      log: silent,
      holdMs,
    });
    server = createServer((request, response) => void route.handler(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  }

  async function close(): Promise<void> {
    await route.close();
    agent.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  async function restart(holdMs?: number): Promise<void> {
    await close();
    agent = new Agent({ keepAlive: true, maxSockets: 1 });
    await open(holdMs);
  }

  function aSnapshot(generation: number): IngressSnapshot {
    const upstreams = [{ host: '127.0.0.1', port: 1000 + generation }];
    const route = { id: 'r', hostname: 'app.localhost', deploymentId: 'd', service: 'app', upstreams, canary: null };
    return { generation, routes: [route] };
  }

  function ask(bearer = BEARER, by = agent): Promise<{ status: number; body: string }> {
    const { port } = server.address() as AddressInfo;
    const headers = { authorization: `Bearer ${bearer}` };
    return new Promise((resolve, reject) => {
      const answered = async (response: IncomingMessage): Promise<void> => {
        const parts = await response.toArray();
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() });
      };
      get({ port, path: '/traefik/config', agent: by, headers }, (response) => void answered(response)).on(
        'error',
        reject,
      );
    });
  }

  async function generationOf(answer: Promise<{ body: string }>): Promise<string> {
    return JSON.parse((await answer).body).http.middlewares['obiente-generation'].headers.customResponseHeaders[
      'x-obiente-generation'
    ];
  }

  it('refuses a wrong, a longer and a missing token without a word about routes', async () => {
    for (const bearer of ['', 'wrong', `${BEARER}x`, randomUUID()]) {
      const answer = await ask(bearer);
      expect(answer).toEqual({ status: 401, body: '{"error":"unauthenticated"}' });
    }
  });

  it('answers a new connection at once and holds one that is up to date until something changes', async () => {
    expect(await generationOf(ask())).toBe('1');
    const held = generationOf(ask());
    const byAnother = new Agent();
    expect(await generationOf(ask(BEARER, byAnother))).toBe('1');
    snapshot = aSnapshot(2);
    notify();
    expect(await held).toBe('2');
  });

  it('answers a held request in full when nothing changes', async () => {
    await restart(20);
    const first = await ask();
    expect(await ask()).toEqual(first);
  });

  it('reads again when a change comes during a read', async () => {
    await ask();
    const held = generationOf(ask());
    snapshot = aSnapshot(2);
    notify();
    snapshot = aSnapshot(3);
    notify();
    await held;
    expect(await generationOf(ask(BEARER, new Agent()))).toBe('3');
  });

  it('never goes back to an older generation', async () => {
    snapshot = aSnapshot(5);
    expect(await generationOf(ask())).toBe('5');
    snapshot = aSnapshot(4);
    expect(await generationOf(ask(BEARER, new Agent()))).toBe('5');
  });

  it('serves what it has while the database is away, and the kept snapshot after a restart', async () => {
    const before = await ask();
    isDatabaseDown = true;
    expect(await ask(BEARER, new Agent())).toEqual(before);
    await restart();
    expect(await ask()).toEqual(before);
    isDatabaseDown = false;
    snapshot = aSnapshot(2);
    notify();
    expect(await generationOf(ask())).toBe('2');
  });

  it('answers 503 and never an empty 200 while there is no snapshot at all', async () => {
    isDatabaseDown = true;
    expect(await ask()).toMatchObject({ status: 503 });
  });

  it.each([[''], ['{'], ['{}'], ['{"generation":1}'], ['null']])('does not serve a damaged file: %j', async (text) => {
    isDatabaseDown = true;
    await writeFile(join(folder, 'last-good.json'), text);
    expect(await ask()).toMatchObject({ status: 503 });
  });

  it('holds a kept file to the same checks as the database', async () => {
    isDatabaseDown = true;
    const forged = { ...aSnapshot(1), routes: [{ ...aSnapshot(1).routes[0], hostname: 'a.test`) || Host(`b.test' }] };
    await writeFile(join(folder, 'last-good.json'), JSON.stringify(forged));
    const { status, body } = await ask();
    expect([status, body.includes('b.test')]).toEqual([200, false]);
  });

  it('keeps the last snapshot in a file for its owner only', async () => {
    await ask();
    await route.close();
    const file = join(folder, 'last-good.json');
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(snapshot);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('lets go of held requests when it closes', async () => {
    await ask();
    const held = ask();
    await ask(BEARER, new Agent());
    await route.close();
    expect(await held).toMatchObject({ status: 200 });
  });
});
