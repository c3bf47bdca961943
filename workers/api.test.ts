import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLog } from '../adapters/logging/log.ts';
import { generateControlKey } from '../adapters/tokens/keys.ts';
import { adminUrlOfRun } from '../test/support/database.ts';
import { freePort } from '../test/support/free-port.ts';
import { createEmptyDatabase, type TestDatabase } from '../test/support/postgres.ts';
import { startApi } from './api.ts';
import type { RunningRole } from './run-role.ts';

const log = createLog({ role: 'test', level: 'silent' });

let folder: string;
let database: TestDatabase;
let role: RunningRole | undefined;
let environment: Record<string, string>;

async function aFile(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'obiente-role-api-'));
  database = await createEmptyDatabase(adminUrlOfRun());
  environment = {
    API_PORT: String(await freePort()),
    OBIENTE_STATE_DIR: folder,
    DATABASE_URL: database.url,
    TEMPORAL_ADDRESS: '127.0.0.1:1',
    OIDC_ISSUER: 'http://127.0.0.1:1',
    CONTEXT_DIR: join(folder, 'contexts'),
    SHUTDOWN_GRACE: '1s',
    PAYLOAD_KEY_FILE: await aFile('payload.key', randomBytes(32).toString('base64')),
    MASTER_KEY_FILE: await aFile('master.key', randomBytes(32).toString('base64')),
    CONTROL_KEY_FILE: await aFile('control.jwk', JSON.stringify(generateControlKey().privateJwk)),
    OBIENTE_INSTANCE: 'abcd1234',
    NODE_JOIN_TOKEN_FILE: await aFile('join.token', randomBytes(24).toString('hex')),
    TRAEFIK_TOKEN_FILE: await aFile('traefik.token', 'token-of-the-ingress'),
  };
});
afterEach(async () => {
  await role?.stop();
  role = undefined;
  await database.drop();
  await rm(folder, { recursive: true });
});

async function get(path: string, headers: Record<string, string> = {}) {
  const response = await fetch(`http://127.0.0.1:${environment.API_PORT}${path}`, { headers });
  return { status: response.status, text: await response.text() };
}

describe('the role api', () => {
  it('migrates an empty database and answers on one port', async () => {
    role = await startApi(environment, log);
    const health = await get('/health');
    expect([health.status, JSON.parse(health.text)]).toEqual([
      200,
      { status: 'healthy', version: expect.any(String), metrics_healthy: true },
    ]);
    expect((await get('/metrics')).text).toContain('nodejs_eventloop_lag_seconds');
    expect(Object.keys(JSON.parse((await get('/metrics/observability')).text)).length).toBeGreaterThanOrEqual(24);
    expect((await get('/traefik/config')).status).toBe(401);
    const config = await get('/traefik/config', { authorization: 'Bearer token-of-the-ingress' });
    expect([config.status, JSON.parse(config.text).http.routers]).toEqual([200, expect.any(Object)]);
    const whoAmI = `http://127.0.0.1:${environment.API_PORT}/obiente.cloud.v1.IdentityService/WhoAmI`;
    const call = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' };
    expect(await (await fetch(whoAmI, call)).json()).toMatchObject({ code: 'unauthenticated' });
  });

  it('starts without a database, says so, and gives the ingress the routes that were kept', async () => {
    role = await startApi(environment, log);
    await get('/traefik/config', { authorization: 'Bearer token-of-the-ingress' });
    await role.stop();
    role = await startApi({ ...environment, DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' }, log);
    const health = await get('/health');
    expect([health.status, JSON.parse(health.text)]).toEqual([
      503,
      { status: 'unhealthy', message: 'database unavailable' },
    ]);
    const kept = await get('/traefik/config', { authorization: 'Bearer token-of-the-ingress' });
    expect(kept.status).toBe(200);
  });

  it.each([
    'MASTER_KEY_FILE',
    'CONTROL_KEY_FILE',
    'PAYLOAD_KEY_FILE',
    'NODE_JOIN_TOKEN_FILE',
    'TRAEFIK_TOKEN_FILE',
    'DATABASE_URL',
  ])('does not start without %s, and names it', async (name) => {
    await expect(startApi({ ...environment, [name]: '' }, log)).rejects.toMatchObject({
      ...{ code: 'CONFIGURATION', message: expect.stringContaining(name) },
    });
  });

  it('names the port that is taken', async () => {
    role = await startApi(environment, log);
    await expect(startApi(environment, log)).rejects.toMatchObject({
      ...{ code: 'CONFIGURATION', message: expect.stringContaining(environment.API_PORT ?? '') },
    });
  });
});
