import { errors } from 'jose';
import { DomainError } from '../../domain/errors.ts';

/** A token that is refused, for a reason that helps its owner and tells a stranger nothing. */
export function refuseToken(reason: string, options: { hint?: string; cause?: unknown } = {}): DomainError {
  return new DomainError('UNAUTHENTICATED', `token refused: ${reason}`, {
    hint: options.hint ?? 'Sign in again with `obiente login`.',
    ...(options.cause === undefined ? {} : { cause: options.cause }),
  });
}

const CLAIM_REASONS: Record<string, string> = {
  aud: 'it is not meant for this api',
  iss: 'it is from another issuer',
  nbf: 'it is not valid yet',
  iat: 'it was issued in the future or too long ago',
  typ: 'it is not an access token',
};

/** Puts what jose found into words. Keys, values and signatures never appear in them. */
export function toRefusal(error: unknown): DomainError {
  if (error instanceof DomainError) return error;
  return refuseToken(reasonOf(error), { cause: error });
}

function reasonOf(error: unknown): string {
  if (error instanceof errors.JWTExpired)
    return error.claim === 'exp' ? 'it has expired' : 'it was issued too long ago';
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.reason === 'missing') return `it has no claim ${error.claim}`;
    return CLAIM_REASONS[error.claim] ?? `its claim ${error.claim} is not valid`;
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'its signature is not valid';
  if (error instanceof errors.JWKSNoMatchingKey) return 'it is signed with an unknown key';
  if (error instanceof errors.JOSEAlgNotAllowed) return 'its algorithm is not allowed';
  return 'it is malformed';
}
