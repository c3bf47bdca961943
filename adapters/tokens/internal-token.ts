import { type JWTPayload, type JWTVerifyGetKey, jwtVerify, SignJWT } from 'jose';
import { DomainError } from '../../domain/errors.ts';
import { isCanonicalCompact } from './compact-form.ts';
import { importPrivate, type Jwk, thumbprint } from './keys.ts';
import { refuseToken, toRefusal } from './refusal.ts';

/** Internal tokens live so long, seconds: enough for a call, little enough that a stolen one is soon worthless. */
export const INTERNAL_TOKEN_LIFETIME_S = 300;

/** How far the clocks of two hosts may be apart, seconds. */
const CLOCK_TOLERANCE_S = 10;

/** The clock, so that tests can set it. */
export type Now = () => Date;

/** What an internal token says beside when it is valid. */
export interface InternalClaims {
  readonly type: string;
  readonly issuer: string;
  readonly subject: string;
  readonly audience: string;
  /** What else it says; texts only. */
  readonly more?: Readonly<Record<string, string>>;
}

/**
 * Creates what signs internal tokens (ES256).
 *
 * @throws CONFIGURATION when the key is not a private key.
 */
export function createInternalSigner(privateJwk: Jwk, now: Now): (claims: InternalClaims) => Promise<string> {
  const key = importPrivate(privateJwk);
  if (!key) throw new DomainError('CONFIGURATION', 'cannot sign internal tokens: the key is not a private jwk');
  const kid = thumbprint(privateJwk);
  return ({ type, issuer, subject, audience, more }) => {
    const issuedAt = Math.floor(now().getTime() / 1000);
    return new SignJWT({ ...more })
      .setProtectedHeader({ alg: 'ES256', typ: type, kid })
      .setIssuer(issuer)
      .setSubject(subject)
      .setAudience(audience)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + INTERNAL_TOKEN_LIFETIME_S)
      .sign(key);
  };
}

/**
 * Verifies an internal token: canonical spelling, ES256, type, issuer, audience, and that it lives no longer than
 * internal tokens may.
 *
 * @throws UNAUTHENTICATED
 */
export async function verifyInternal(
  token: string,
  getKey: JWTVerifyGetKey,
  expected: { type: string; issuer: string; audience: string; now: Now },
): Promise<JWTPayload> {
  if (!isCanonicalCompact(token, 3)) throw refuseToken('it is malformed', { hint: INTERNAL_HINT });
  try {
    const { payload } = await jwtVerify(token, getKey, {
      algorithms: ['ES256'],
      typ: expected.type,
      issuer: expected.issuer,
      audience: expected.audience,
      requiredClaims: ['sub', 'iat', 'exp'],
      maxTokenAge: INTERNAL_TOKEN_LIFETIME_S,
      clockTolerance: CLOCK_TOLERANCE_S,
      currentDate: expected.now(),
    });
    return payload;
  } catch (error) {
    const { message, cause } = toRefusal(error);
    throw new DomainError('UNAUTHENTICATED', message, { hint: INTERNAL_HINT, cause });
  }
}

const INTERNAL_HINT = 'Check that the clocks of both hosts agree and that the node is enrolled.';
