import { z } from 'zod';
import { DomainError } from '../domain/errors.ts';
import { type Credentials, readCredentials, writeCredentials } from './credentials-file.ts';
import { withFileLock } from './file-lock.ts';
import { discoverProvider, postForm } from './identity-provider.ts';

/** How long before its end a token is replaced: longer than a call takes and the clocks differ. */
const REFRESH_BEFORE_MS = 60_000;

/** Assumed life of a token whose provider does not say (RFC 6749 section 5.1 only recommends to). */
const UNKNOWN_LIFE_S = 300;

const answerSchema = z.object({
  access_token: z.string().min(1),
  refresh_token: z.string().min(1).optional(),
  expires_in: z.number().positive().optional(),
});

/** What a token endpoint gave. */
export interface Tokens {
  readonly accessToken: string;
  readonly refreshToken: string | undefined;
  /** RFC 3339. */
  readonly expiresAt: string;
}

/** Gives the token for the next call. */
export interface TokenSource {
  /** A token that lives for the call; `undefined` when nobody has signed in. */
  accessToken(): Promise<string | undefined>;
  /** Forgets the token as it was refused, so that the next call asks for a new one. False when there is none to ask. */
  renew(refused: string): Promise<boolean>;
}

/** Reads a token endpoint's answer. @throws UNAUTHENTICATED when it holds no token. */
export function toTokens(body: Record<string, unknown>, nowMs: number): Tokens {
  const parsed = answerSchema.safeParse(body);
  if (!parsed.success) throw new DomainError('UNAUTHENTICATED', 'the identity provider answered without a token');
  const { access_token, refresh_token, expires_in = UNKNOWN_LIFE_S } = parsed.data;
  return {
    accessToken: access_token,
    refreshToken: refresh_token,
    expiresAt: new Date(nowMs + expires_in * 1000).toISOString(),
  };
}

/** A fixed token, from the environment. */
export function fixedToken(token: string | undefined): TokenSource {
  return { accessToken: async () => token, renew: async () => false };
}

/**
 * The tokens of a `cli.json`, refreshed a minute before they expire.
 *
 * Refresh tokens are used once: of several commands that find the token expired, one refreshes under the file's lock
 * and the others read what it wrote. A provider takes a second use for a theft and revokes everything.
 */
export function storedToken(file: string): TokenSource {
  let known: Credentials | undefined;
  let refreshing: Promise<Credentials | undefined> | undefined;
  const current = async (mustDifferFrom?: string): Promise<Credentials | undefined> => {
    known ??= await readCredentials(file);
    if (known === undefined || isUsable(known, mustDifferFrom)) return known;
    refreshing ??= refresh(file, mustDifferFrom).finally(() => {
      refreshing = undefined;
    });
    known = await refreshing;
    return known;
  };
  return {
    accessToken: async () => (await current())?.accessToken,
    renew: async (refused) => {
      const renewed = await current(refused);
      return renewed?.accessToken !== undefined && renewed.accessToken !== refused;
    },
  };
}

function isUsable({ accessToken, expiresAt }: Credentials, mustDifferFrom: string | undefined): boolean {
  if (accessToken === undefined || accessToken === mustDifferFrom) return false;
  return expiresAt === undefined || new Date(expiresAt).getTime() - REFRESH_BEFORE_MS > Date.now();
}

async function refresh(file: string, mustDifferFrom: string | undefined): Promise<Credentials | undefined> {
  return await withFileLock(`${file}.lock`, async () => {
    const found = await readCredentials(file);
    if (found === undefined || isUsable(found, mustDifferFrom)) return found;
    const { issuer, clientId, refreshToken } = found;
    if (issuer === undefined || clientId === undefined || refreshToken === undefined) return found;
    const { token_endpoint } = await discoverProvider(issuer);
    const form = { grant_type: 'refresh_token', refresh_token: refreshToken, client_id: clientId };
    const { status, body } = await postForm(token_endpoint, form);
    if (status >= 500)
      throw new DomainError('UNAUTHENTICATED', `${issuer} answered ${status} to the refresh of the sign-in`);
    if (status !== 200) throw expired(body);
    const tokens = toTokens(body, Date.now());
    const fresh = { ...found, ...tokens, refreshToken: tokens.refreshToken ?? refreshToken };
    await writeCredentials(file, fresh);
    return fresh;
  });
}

function expired(body: Record<string, unknown>): DomainError {
  const reason = typeof body.error === 'string' ? ` (${body.error})` : '';
  return new DomainError('UNAUTHENTICATED', `the sign-in has expired${reason}`, { hint: 'Run "obiente login".' });
}
