import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createLog } from '../adapters/logging/log.ts';
import { createAccessTokenVerifier } from '../adapters/tokens/access-token-verifier.ts';
import { freePort } from '../test/support/free-port.ts';
import { startDevOidcRole } from './dev-oidc.ts';

test('the role signs the local command in with tokens that the api accepts, and stops', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'obiente-oidc-role-'));
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  const environment = { OBIENTE_STATE_DIR: stateDir, OIDC_PORT: String(port), CONTROL_URL: 'http://127.0.0.1:7400' };
  const role = await startDevOidcRole(environment, createLog({ role: 'dev-oidc', level: 'silent' }));
  const signIn = JSON.parse(await readFile(join(stateDir, 'cli.json'), 'utf8'));
  const verifier = createAccessTokenVerifier({ issuer, audience: 'obiente-api' });
  expect((await verifier.verify(signIn.accessToken)).subject).toBe('dev');
  await role.stop();
  await expect(fetch(issuer)).rejects.toThrow();
  await rm(stateDir, { recursive: true });
});

test('the role names every wrong variable at once', async () => {
  const started = startDevOidcRole(
    { OIDC_PORT: '70000', OIDC_ISSUER: 'file:///etc' },
    createLog({ role: 'dev-oidc', level: 'silent' }),
  );
  await expect(started).rejects.toMatchObject({
    code: 'CONFIGURATION',
    message: expect.stringMatching(/OIDC_PORT.*OIDC_ISSUER/),
  });
});
