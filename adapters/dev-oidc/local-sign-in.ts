import { join } from 'node:path';
import type { Provider } from 'oidc-provider';
import { findFile, writePrivateFile } from '../files/private-file.ts';
import { ALL_SCOPES, API_RESOURCE, allowEverything } from './configuration.ts';
import { DEV_USER } from './dev-user.ts';

/** What the `obiente` command keeps of a sign-in: `.obiente/cli.json`. */
export interface CliSignIn {
  readonly apiUrl: string;
  readonly issuer: string;
  readonly clientId: string;
  readonly accessToken: string;
  readonly refreshToken: string;
  /** When the access token expires, RFC 3339. */
  readonly expiresAt: string;
}

/** For whom and where the command is signed in. */
export interface LocalSignIn {
  readonly provider: Provider;
  readonly stateDir: string;
  readonly apiUrl: string;
  readonly issuer: string;
  readonly clientId: string;
}

/**
 * Signs the local command in as the development user, unless it already is.
 *
 * A sign-in at another provider, made by hand, is left alone.
 *
 * @returns whether a new sign-in was written.
 */
export async function signInLocally(target: LocalSignIn): Promise<boolean> {
  const path = join(target.stateDir, 'cli.json');
  const found = parseSignIn(await findFile(path));
  if (found && !isLocal(found.issuer)) return false;
  if (found && (await isStillGood(found, target))) return false;
  await writePrivateFile(path, `${JSON.stringify(await issueDevTokens(target), null, 2)}\n`);
  return true;
}

/** Issues tokens of the development user without a browser: a grant of our own, then the token endpoint as ever. */
export async function issueDevTokens({ provider, apiUrl, issuer, clientId }: LocalSignIn): Promise<CliSignIn> {
  const refreshToken = await issueRefreshToken(provider, clientId);
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken, client_id: clientId }),
  });
  if (!response.ok) throw new Error(`the development identity provider answered ${response.status} to its own command`);
  const answer = (await response.json()) as { access_token: string; expires_in: number };
  const expiresAt = new Date(Date.now() + answer.expires_in * 1000).toISOString();
  return { apiUrl, issuer, clientId, accessToken: answer.access_token, refreshToken, expiresAt };
}

async function issueRefreshToken(provider: Provider, clientId: string): Promise<string> {
  const client = await provider.Client.find(clientId);
  if (!client) throw new Error(`the development identity provider has no client ${clientId}`);
  const grant = new provider.Grant({ clientId, accountId: DEV_USER.id });
  allowEverything(grant);
  const refreshToken = new provider.RefreshToken({
    accountId: DEV_USER.id,
    client,
    grantId: await grant.save(),
    gty: 'device_code',
    resource: API_RESOURCE,
    scope: ALL_SCOPES,
  });
  return await refreshToken.save();
}

async function isStillGood(found: CliSignIn, { provider, apiUrl, issuer, clientId }: LocalSignIn): Promise<boolean> {
  if (found.issuer !== issuer || found.apiUrl !== apiUrl || found.clientId !== clientId) return false;
  const refreshToken = await provider.RefreshToken.find(found.refreshToken);
  if (!refreshToken?.isValid || refreshToken.grantId === undefined) return false;
  return (await provider.Grant.find(refreshToken.grantId)) !== undefined;
}

function isLocal(issuer: string): boolean {
  return URL.canParse(issuer) && ['127.0.0.1', 'localhost', '[::1]'].includes(new URL(issuer).hostname);
}

function parseSignIn(text: string | undefined): CliSignIn | undefined {
  try {
    const value = JSON.parse(text ?? '');
    return typeof value?.issuer === 'string' && typeof value.refreshToken === 'string' ? value : undefined;
  } catch {
    // There is none, or it is broken: a new one replaces it.
    return undefined;
  }
}
