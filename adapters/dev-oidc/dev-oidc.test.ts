import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { freePort } from '../../test/support/free-port.ts';
import { createLog } from '../logging/log.ts';
import { createAccessTokenVerifier } from '../tokens/access-token-verifier.ts';
import { type DevOidc, startDevOidc } from './dev-oidc.ts';

const AUDIENCE = 'obiente-api';
const CLIENT = 'obiente-cli';
const API_URL = 'http://127.0.0.1:7400';
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

interface Rig {
  readonly issuer: string;
  readonly stateDir: string;
  provider: DevOidc;
  restart(): Promise<void>;
}

async function startRig({ accessTokenTtlS = 3600 } = {}): Promise<Rig> {
  const stateDir = await mkdtemp(join(tmpdir(), 'obiente-oidc-'));
  cleanUps.push(() => rm(stateDir, { recursive: true }));
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  const log = createLog({ role: 'dev-oidc', level: 'silent' });
  const start = () =>
    startDevOidc({
      port,
      issuer,
      stateDir,
      audience: AUDIENCE,
      clientId: CLIENT,
      apiUrl: API_URL,
      accessTokenTtlS,
      log,
    });
  const rig: Rig = {
    issuer,
    stateDir,
    provider: await start(),
    restart: async () => {
      await rig.provider.stop();
      rig.provider = await start();
    },
  };
  cleanUps.push(() => rig.provider.stop());
  return rig;
}

async function post(
  url: string,
  form: Record<string, string>,
): Promise<{ status: number; body: Record<string, string> }> {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(form) });
  return { status: response.status, body: (await response.json()) as Record<string, string> };
}

/** A browser as far as signing in needs one: cookies, redirects, and forms that a person submits. */
function createBrowser() {
  const cookies = new Map<string, string>();

  async function open(url: string, form?: Record<string, string>): Promise<{ url: string; html: string }> {
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form ? { method: 'POST', body: new URLSearchParams(form) } : {}),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      cookies.set(name, value);
    }
    const location = response.headers.get('location');
    const html = await response.text();
    return location ? await open(new URL(location, url).href) : { url, html };
  }

  async function submit(shown: { url: string; html: string }, extra: Record<string, string> = {}) {
    const action = /action="([^"]+)"/.exec(shown.html)?.[1];
    if (!action) throw new Error(`no form at ${shown.url}: ${shown.html}`);
    const hidden = [...shown.html.matchAll(/name="([^"]+)" value="([^"]*)"/g)].filter(([, name]) => name !== 'abort');
    const form = Object.fromEntries(hidden.map(([, name = '', value = '']) => [name, value]));
    return await open(new URL(action, shown.url).href, { ...form, ...extra });
  }
  return { open, submit };
}

async function signInByDeviceFlow(issuer: string) {
  const scope = 'openid profile email offline_access api';
  const { body: device } = await post(`${issuer}/device/auth`, { client_id: CLIENT, scope });
  const poll = () =>
    post(`${issuer}/token`, { grant_type: DEVICE_GRANT, device_code: device.device_code ?? '', client_id: CLIENT });
  const before = await poll();
  const browser = createBrowser();
  const confirm = await browser.submit(await browser.open(device.verification_uri_complete ?? ''));
  const signIn = await browser.submit(confirm);
  const done = signIn.url.includes('/interaction/') ? await browser.submit(signIn) : signIn;
  return { device, before, confirm, signIn, done, after: await poll(), poll };
}

function verifierOf(issuer: string) {
  return createAccessTokenVerifier({ issuer, audience: AUDIENCE });
}

test('signs a command in by device flow, with an access token that the api accepts', async () => {
  const { issuer } = await startRig();
  const flow = await signInByDeviceFlow(issuer);

  expect(flow.before).toMatchObject({ status: 400, body: { error: 'authorization_pending' } });
  expect(flow.confirm.html).toContain(flow.device.user_code);
  expect(flow.confirm.html).toContain(CLIENT);
  expect(flow.signIn.html).toContain('development only');
  expect(flow.done.html).toContain('is signed in');
  expect(flow.after.status).toBe(200);
  const verified = await verifierOf(issuer).verify(flow.after.body.access_token ?? '');
  expect(verified).toMatchObject({ issuer, subject: 'dev', email: 'dev@localhost' });
});

test('takes a device code once: a second use ends what the first one got', async () => {
  const { issuer } = await startRig();
  const { after, poll } = await signInByDeviceFlow(issuer);
  expect((await poll()).body.error).toBe('invalid_grant');
  const form = { grant_type: 'refresh_token', refresh_token: after.body.refresh_token ?? '', client_id: CLIENT };
  expect((await post(`${issuer}/token`, form)).body.error).toBe('invalid_grant');
});

test('refuses a device when its person says so, and ends the waiting command', async () => {
  const { issuer } = await startRig();
  const { body: device } = await post(`${issuer}/device/auth`, { client_id: CLIENT, scope: 'openid api' });
  const browser = createBrowser();
  const confirm = await browser.submit(await browser.open(device.verification_uri_complete ?? ''));
  await browser.submit(confirm, { abort: 'yes' });
  const form = { grant_type: DEVICE_GRANT, device_code: device.device_code ?? '', client_id: CLIENT };
  expect((await post(`${issuer}/token`, form)).body.error).toBe('access_denied');
});

test('shows no page that takes anything from another site', async () => {
  const { issuer } = await startRig();
  const browser = createBrowser();
  const { html } = await browser.open(`${issuer}/device`);
  expect(html).not.toMatch(/https?:\/\/(?!127\.0\.0\.1)/);
});

test('never takes an id token for an access token', async () => {
  const { issuer } = await startRig();
  const { after } = await signInByDeviceFlow(issuer);
  const idToken = after.body.id_token ?? '';
  const verifier = createAccessTokenVerifier({ issuer, audience: CLIENT });
  await expect(verifier.verify(idToken)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
});

test('keeps grants over a restart', async () => {
  const rig = await startRig();
  const { after } = await signInByDeviceFlow(rig.issuer);
  await rig.restart();
  const form = { grant_type: 'refresh_token', refresh_token: after.body.refresh_token ?? '', client_id: CLIENT };
  const refreshed = await post(`${rig.issuer}/token`, form);
  expect(refreshed.status).toBe(200);
  const verified = await verifierOf(rig.issuer).verify(refreshed.body.access_token ?? '');
  expect(verified.subject).toBe('dev');
});

test('signs the local command in once, for its owner alone, and keeps that over restarts', async () => {
  const rig = await startRig();
  const path = join(rig.stateDir, 'cli.json');
  expect(await rig.provider.signInLocally()).toBe(true);
  const first = await readFile(path, 'utf8');
  expect(JSON.parse(first)).toMatchObject({ apiUrl: API_URL, issuer: rig.issuer, clientId: CLIENT });
  for (const secret of [path, join(rig.stateDir, 'oidc/keys.json'), join(rig.stateDir, 'oidc/grants.sqlite')]) {
    expect((await stat(secret)).mode & 0o777).toBe(0o600);
  }
  await verifierOf(rig.issuer).verify(JSON.parse(first).accessToken);

  await rig.restart();
  expect(await rig.provider.signInLocally()).toBe(false);
  expect(await readFile(path, 'utf8')).toBe(first);
});

test('signs the local command in anew when what it has is broken, forgotten, or of another local provider', async () => {
  const rig = await startRig();
  const path = join(rig.stateDir, 'cli.json');
  await rig.provider.signInLocally();
  const good = JSON.parse(await readFile(path, 'utf8'));
  for (const stale of [
    '{ cut off',
    JSON.stringify({ ...good, refreshToken: 'forgotten' }),
    JSON.stringify({ ...good, issuer: 'http://127.0.0.1:1' }),
    JSON.stringify({ ...good, apiUrl: 'http://127.0.0.1:1' }),
  ]) {
    await writeFile(path, stale);
    expect(await rig.provider.signInLocally()).toBe(true);
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ apiUrl: API_URL, issuer: rig.issuer });
  }
});

test('leaves a sign-in at another provider alone', async () => {
  const rig = await startRig();
  const elsewhere = JSON.stringify({ issuer: 'https://login.example.test', refreshToken: 'theirs' });
  await writeFile(join(rig.stateDir, 'cli.json'), elsewhere);
  expect(await rig.provider.signInLocally()).toBe(false);
  expect(await readFile(join(rig.stateDir, 'cli.json'), 'utf8')).toBe(elsewhere);
});

test('lets the api follow a rotation of the keys, and refuse what the old ones signed', async () => {
  const rig = await startRig();
  let nowMs = Date.now();
  const verifier = createAccessTokenVerifier({ issuer: rig.issuer, audience: AUDIENCE, now: () => new Date(nowMs) });
  const old = await rig.provider.issueDevTokens();
  await verifier.verify(old.accessToken);

  await rm(join(rig.stateDir, 'oidc', 'keys.json'));
  await rig.restart();
  const fresh = await rig.provider.issueDevTokens();
  nowMs += 6000;
  expect((await verifier.verify(fresh.accessToken)).subject).toBe('dev');
  await expect(verifier.verify(old.accessToken)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
});

test('issues access tokens that expire', async () => {
  const rig = await startRig({ accessTokenTtlS: 60 });
  const { accessToken, expiresAt } = await rig.provider.issueDevTokens();
  const after = new Date(Date.parse(expiresAt) + 10_000);
  const verifier = createAccessTokenVerifier({ issuer: rig.issuer, audience: AUDIENCE, now: () => after });
  await expect(verifier.verify(accessToken)).rejects.toThrow('token refused: it has expired');
});

test('answers for its own host only, so that no page of another site reads from it', async () => {
  const { issuer } = await startRig();
  const status = await new Promise((resolve, reject) => {
    const request = httpRequest(`${issuer}/.well-known/openid-configuration`, { headers: { host: 'evil.test' } });
    request.once('response', (response) => resolve(response.resume().statusCode));
    request.once('error', reject);
    request.end();
  });
  expect(status).toBe(421);
});

test('refuses to be the provider of anything but this host', async () => {
  const rig = await startRig();
  const options = { port: 1, stateDir: rig.stateDir, audience: AUDIENCE, clientId: CLIENT, apiUrl: API_URL };
  const log = createLog({ role: 'dev-oidc', level: 'silent' });
  const started = startDevOidc({ ...options, issuer: 'http://login.example.test', log });
  await expect(started).rejects.toMatchObject({ code: 'CONFIGURATION' });
});

test('names the port and its variable when the port is taken', async () => {
  const taken = createServer();
  const port = await freePort();
  await new Promise<void>((resolve) => taken.listen(port, '127.0.0.1', resolve));
  cleanUps.push(() => new Promise((resolve) => taken.close(resolve)));
  const stateDir = await mkdtemp(join(tmpdir(), 'obiente-oidc-'));
  cleanUps.push(() => rm(stateDir, { recursive: true }));
  const log = createLog({ role: 'dev-oidc', level: 'silent' });
  const options = { audience: AUDIENCE, clientId: CLIENT, apiUrl: API_URL, stateDir, log };
  const started = startDevOidc({ ...options, port, issuer: `http://127.0.0.1:${port}` });
  await expect(started).rejects.toThrow(`port ${port} of 127.0.0.1 is taken (OIDC_PORT)`);
});
