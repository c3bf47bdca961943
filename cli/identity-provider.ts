import { z } from 'zod';
import { DomainError } from '../domain/errors.ts';

/** Longest answer of an identity provider that is worth waiting for. */
const REQUEST_TIMEOUT_MS = 10_000;

const metadataSchema = z.object({
  issuer: z.string(),
  token_endpoint: z.url(),
  device_authorization_endpoint: z.url().optional(),
});

/** What of a provider's discovery document this command uses. */
export type ProviderMetadata = z.infer<typeof metadataSchema>;

/** The answer to a form: a token endpoint says both yes and no in JSON. */
export interface ProviderAnswer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/**
 * Reads a provider's discovery document (OpenID Connect Discovery 1.0).
 *
 * @throws CONFIGURATION when the issuer is not the one that was asked, or is not protected by TLS.
 */
export async function discoverProvider(issuer: string, signal?: AbortSignal): Promise<ProviderMetadata> {
  requireProtected(issuer);
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const answer = await ask(url, { headers: { accept: 'application/json' } }, signal);
  const parsed = metadataSchema.safeParse(answer.body);
  if (answer.status !== 200 || !parsed.success) {
    throw new DomainError('CONFIGURATION', `${url} answered ${answer.status} without a discovery document`, {
      hint: 'Check the issuer: it is the address of the identity provider.',
    });
  }
  if (parsed.data.issuer.replace(/\/$/, '') !== issuer.replace(/\/$/, '')) {
    throw new DomainError('CONFIGURATION', `${url} speaks for another issuer, ${parsed.data.issuer}`);
  }
  requireProtected(parsed.data.token_endpoint);
  return parsed.data;
}

/** Sends a form to one of the provider's endpoints. @throws UNAUTHENTICATED when the provider can't be reached. */
export async function postForm(
  url: string,
  form: Record<string, string>,
  signal?: AbortSignal,
): Promise<ProviderAnswer> {
  const headers = { accept: 'application/json' };
  return await ask(url, { method: 'POST', headers, body: new URLSearchParams(form) }, signal);
}

async function ask(url: string, init: RequestInit, signal?: AbortSignal): Promise<ProviderAnswer> {
  const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  try {
    const bounded = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    const response = await fetch(url, { ...init, redirect: 'error', signal: bounded });
    const body = z.record(z.string(), z.unknown()).safeParse(await readJson(response));
    return { status: response.status, body: body.data ?? {} };
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new DomainError('UNAUTHENTICATED', `the identity provider at ${new URL(url).origin} does not answer`, {
      hint: 'Start the platform with "npm start", or try again when the provider is back.',
      cause: error,
    });
  }
}

async function readJson(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Tokens travel in clear text only within this machine. */
function requireProtected(url: string): void {
  const { protocol, hostname } = new URL(url);
  const isLocal =
    hostname === 'localhost' || hostname.endsWith('.localhost') || hostname === '127.0.0.1' || hostname === '[::1]';
  if (protocol === 'https:' || (protocol === 'http:' && isLocal)) return;
  throw new DomainError('CONFIGURATION', `${url} is not protected by TLS`, { hint: 'Use an https:// address.' });
}
