import { DomainError } from './errors.ts';

/** How long a join token may be valid, seconds: an hour unless somebody says otherwise, a week at most. */
export const JOIN_TOKEN_LIFETIME_S = { min: 60, default: 3_600, max: 7 * 86_400 } as const;

/** How a join token stands. */
export interface JoinTokenStanding {
  readonly expired: boolean;
  readonly revoked: boolean;
  /** The node that has joined with it. */
  readonly usedBy: string | null;
}

/**
 * Decides whether a node may join with a token. The one that has used it may ask again, as long as it is valid: the
 * answer may have been lost.
 *
 * @returns why it may not; `undefined` when it may. Only who has a token learns this of it.
 */
export function whyRefused(token: JoinTokenStanding | undefined, nodeId: string): string | undefined {
  if (!token) return 'nobody has made this token';
  if (token.revoked) return 'it was revoked';
  if (token.usedBy !== null && token.usedBy !== nodeId)
    return 'another host has joined with it, and it is good for one';
  if (token.expired) return 'it has expired';
  return undefined;
}

/** Refuses a token. */
export function joinRefused(why: string): DomainError {
  return new DomainError('UNAUTHENTICATED', `join token refused: ${why}`, {
    hint: 'Make a new one with `obiente node token`.',
  });
}
