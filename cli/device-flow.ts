import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { DomainError } from '../domain/errors.ts';
import { discoverProvider, type ProviderAnswer, postForm } from './identity-provider.ts';
import { type Tokens, toTokens } from './tokens.ts';

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

/** RFC 8628 section 3.2: what a provider that names no interval means. */
const DEFAULT_INTERVAL_S = 5;

/** RFC 8628 section 3.5: how much slower a client polls after each `slow_down`. */
const SLOW_DOWN_S = 5;

const authorizationSchema = z.object({
  device_code: z.string(),
  user_code: z.string(),
  verification_uri: z.url(),
  verification_uri_complete: z.url().optional(),
  expires_in: z.number().positive(),
  interval: z.number().positive().optional(),
});

/** What the user needs to confirm the sign-in elsewhere. */
export interface DevicePrompt {
  readonly userCode: string;
  readonly url: string;
  /** The same with the code filled in; `undefined` where the provider has none. */
  readonly completeUrl: string | undefined;
  readonly expiresInSeconds: number;
}

/** Which provider, as which client, and for what. */
export interface DeviceLogin {
  readonly issuer: string;
  readonly clientId: string;
  readonly scope: string;
  /** RFC 8707 resource that the token is for; `undefined` leaves it to the provider. */
  readonly resource: string | undefined;
  /** Shows the user where to confirm. */
  readonly prompt: (prompt: DevicePrompt) => void;
  /** Waits; replaced by tests. */
  readonly pause?: (ms: number, signal: AbortSignal | undefined) => Promise<unknown>;
  readonly signal?: AbortSignal;
}

/**
 * Signs a user in on another device (RFC 8628): shows an address and a code, and polls until the user has confirmed.
 *
 * @throws UNAUTHENTICATED when the user refuses, the code expires or the provider does.
 */
export async function signInByDevice(login: DeviceLogin): Promise<Tokens> {
  const provider = await discoverProvider(login.issuer, login.signal);
  if (provider.device_authorization_endpoint === undefined) {
    throw new DomainError('CONFIGURATION', `${login.issuer} does not offer the device flow`, {
      hint: 'Allow the device grant for this client, or set OBIENTE_TOKEN.',
    });
  }
  const resource = login.resource === undefined ? {} : { resource: login.resource };
  const form = { client_id: login.clientId, scope: login.scope, ...resource };
  const answer = await postForm(provider.device_authorization_endpoint, form, login.signal);
  const authorization = authorizationSchema.safeParse(answer.body);
  if (!authorization.success) throw refusal(answer);
  const device = authorization.data;
  login.prompt({
    userCode: device.user_code,
    url: device.verification_uri,
    completeUrl: device.verification_uri_complete,
    expiresInSeconds: device.expires_in,
  });
  return await poll(login, provider.token_endpoint, { ...device, resource });
}

interface Device extends z.infer<typeof authorizationSchema> {
  readonly resource: Record<string, string>;
}

async function poll(login: DeviceLogin, tokenEndpoint: string, device: Device): Promise<Tokens> {
  const pause = login.pause ?? ((ms, signal) => delay(ms, undefined, signal === undefined ? {} : { signal }));
  const form = { grant_type: DEVICE_GRANT, device_code: device.device_code, client_id: login.clientId };
  let intervalS = device.interval ?? DEFAULT_INTERVAL_S;
  for (let waitedS = 0; waitedS < device.expires_in; waitedS += intervalS) {
    await pause(intervalS * 1000, login.signal);
    const answer = await postForm(tokenEndpoint, { ...form, ...device.resource }, login.signal);
    if (answer.status === 200) return toTokens(answer.body, Date.now());
    if (answer.body.error === 'slow_down') intervalS += SLOW_DOWN_S;
    else if (answer.body.error !== 'authorization_pending') throw refusal(answer);
  }
  throw new DomainError('UNAUTHENTICATED', 'the code was not confirmed in time', {
    hint: 'Run "obiente login" again.',
  });
}

function refusal({ status, body }: ProviderAnswer): DomainError {
  if (body.error === 'access_denied') return new DomainError('UNAUTHENTICATED', 'the sign-in was refused');
  if (body.error === 'expired_token') {
    return new DomainError('UNAUTHENTICATED', 'the code has expired', { hint: 'Run "obiente login" again.' });
  }
  const reason = String(body.error_description ?? body.error ?? `status ${status}`);
  return new DomainError('UNAUTHENTICATED', `the identity provider refused: ${reason}`);
}
