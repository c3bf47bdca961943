import { resolve } from 'node:path';
import { startDevOidc } from '../adapters/dev-oidc/dev-oidc.ts';
import type { Log } from '../adapters/logging/log.ts';
import { devOidcVariables } from '../config/dev-oidc.ts';
import { readEnvironment } from '../config/environment.ts';
import type { RunningRole } from './run-role.ts';

/**
 * Starts the role `dev-oidc`: the identity provider of development, which signs the local command in by itself.
 */
export async function startDevOidcRole(
  environment: Record<string, string | undefined>,
  log: Log,
): Promise<RunningRole> {
  const config = readEnvironment(devOidcVariables, environment);
  const issuer = config.OIDC_ISSUER ?? `http://127.0.0.1:${config.OIDC_PORT}`;
  const provider = await startDevOidc({
    port: config.OIDC_PORT,
    issuer,
    stateDir: resolve(config.OBIENTE_STATE_DIR),
    audience: config.OIDC_AUDIENCE,
    clientId: config.OIDC_CLIENT_ID,
    apiUrl: config.CONTROL_URL,
    log,
  });
  if (await provider.signInLocally()) log.info({ issuer }, 'signed the local command in');
  return { stop: () => provider.stop() };
}
