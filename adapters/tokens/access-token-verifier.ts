import { type JWTPayload, jwtVerify } from 'jose';
import { DomainError } from '../../domain/errors.ts';
import type { Log } from '../logging/log.ts';
import { isCanonicalCompact } from './compact-form.ts';
import { createKeySource } from './key-source.ts';
import { fetchProviderKeys } from './provider-keys.ts';
import { refuseToken, toRefusal } from './refusal.ts';

/** Who a user's access token says is calling. */
export interface VerifiedToken {
  readonly issuer: string;
  /** 1 to 255 characters, unique within the issuer. */
  readonly subject: string;
  /** The e-mail address; empty where the provider puts none into its access tokens. Never proof of who calls. */
  readonly email: string;
  /** From when on the token is not accepted any more. */
  readonly expiresAt: Date;
}

/** Verifies the access tokens of one issuer. */
export interface AccessTokenVerifier {
  /** @throws UNAUTHENTICATED with a reason that helps its owner and tells a stranger nothing. */
  verify(token: string): Promise<VerifiedToken>;
}

/** What an access token must be to be accepted. */
export interface AccessTokenRules {
  /** Exact `iss`. */
  readonly issuer: string;
  /** Must be among `aud`. */
  readonly audience: string;
  /** Default RS256, ES256 and EdDSA. */
  readonly algorithms?: readonly string[];
  /** How far the provider's clock may be off, 0 to 30 s. Default 5 s. */
  readonly clockToleranceSeconds?: number;
  /** Longest time since `iat`, seconds. Default 24 h. */
  readonly maxTokenAgeSeconds?: number;
  /** Answers with the provider's JWK set; by default through its discovery document. */
  readonly fetchJwks?: () => Promise<unknown>;
  /** Hears why the provider's keys cannot be fetched; callers are not told. */
  readonly log?: Pick<Log, 'warn'>;
  readonly now?: () => Date;
}

const DEFAULT_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'];
const MAX_CLOCK_TOLERANCE_S = 30;
const DAY_S = 24 * 3600;

/** `at+jwt` is RFC 9068; `JWT` is what Zitadel and most others write, so the claims must tell an ID token apart. */
const ACCESS_TOKEN_TYPES = new Set(['at+jwt', 'application/at+jwt', 'jwt']);

/** Claims of ID tokens and logout tokens, which no access token has (OpenID Connect Core 2 and 3, Back-Channel Logout). */
const FOREIGN_CLAIMS = ['nonce', 'at_hash', 'c_hash', 's_hash', 'events'];

/**
 * Creates the verifier of users' access tokens: RFC 9068's checks, none of them left to a library's defaults.
 *
 * Keys that the token brings or points to (`jwk`, `jku`, `x5u`, `x5c`) are not looked at.
 *
 * @throws CONFIGURATION for a clock tolerance out of bounds.
 */
export function createAccessTokenVerifier(rules: AccessTokenRules): AccessTokenVerifier {
  const { issuer, audience, now = () => new Date() } = rules;
  const clockTolerance = rules.clockToleranceSeconds ?? 5;
  const maxTokenAge = rules.maxTokenAgeSeconds ?? DAY_S;
  if (!(clockTolerance >= 0 && clockTolerance <= MAX_CLOCK_TOLERANCE_S)) {
    throw new DomainError('CONFIGURATION', `clock tolerance is ${clockTolerance} s; allowed are 0 s to 30 s`);
  }
  const keys = createKeySource({
    fetchJwks: rules.fetchJwks ?? (() => fetchProviderKeys(issuer)),
    now,
    onFailure: (err) => rules.log?.warn({ err, issuer }, 'cannot fetch the keys of the identity provider'),
  });
  const options = {
    issuer,
    audience,
    algorithms: [...(rules.algorithms ?? DEFAULT_ALGORITHMS)],
    clockTolerance,
    maxTokenAge,
    requiredClaims: ['exp', 'iat', 'sub'],
  };
  return {
    verify: async (token) => {
      if (!isCanonicalCompact(token, 3)) throw refuseToken('it is malformed');
      try {
        const verified = await jwtVerify(token, keys.getKey, { ...options, currentDate: now() });
        assertAccessToken(verified.protectedHeader.typ, verified.payload);
        return toVerifiedToken(verified.payload, { issuer, maxTokenAge });
      } catch (error) {
        throw toRefusal(error);
      }
    },
  };
}

function assertAccessToken(type: string | undefined, claims: JWTPayload): void {
  const isAccessToken =
    ACCESS_TOKEN_TYPES.has((type ?? '').toLowerCase()) &&
    FOREIGN_CLAIMS.every((claim) => !Object.hasOwn(claims, claim)) &&
    (claims.typ === undefined || claims.typ === 'Bearer') &&
    (claims.token_use === undefined || claims.token_use === 'access');
  if (!isAccessToken)
    throw refuseToken('it is not an access token', { hint: 'Send the access token as the bearer token.' });
}

function toVerifiedToken(claims: JWTPayload, rules: { issuer: string; maxTokenAge: number }): VerifiedToken {
  const { sub, exp, iat, email } = claims;
  if (typeof sub !== 'string' || sub.length === 0 || sub.length > 255) throw refuseToken('its claim sub is not valid');
  if (!Number.isSafeInteger(iat) || !Number.isFinite(exp)) throw refuseToken('its times are not valid');
  const expires = Math.min(Number(exp), Number(iat) + rules.maxTokenAge);
  return {
    issuer: rules.issuer,
    subject: sub,
    email: typeof email === 'string' && email.length <= 320 && email.includes('@') ? email : '',
    expiresAt: new Date(expires * 1000),
  };
}
