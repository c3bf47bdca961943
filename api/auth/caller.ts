import { type ContextValues, createContextKey } from '@connectrpc/connect';
import { DomainError } from '../../domain/errors.ts';
import type { Role } from '../../domain/roles.ts';

/** Who calls, as far as it concerns this one call. */
export interface Caller {
  /** The platform's own id of the user (UUID). */
  readonly userId: string;
  readonly issuer: string;
  readonly subject: string;
  /** Empty where the provider gives none. */
  readonly email: string;
  /** When the caller's token expires; the longest that a stream may last on it. */
  readonly expiresAt: Date;
  /** The organization of the resource that the call is about; `null` for calls that are about none. */
  readonly organizationId: string | null;
  /** The caller's role in that organization; `null` where there is none. */
  readonly role: Role | null;
}

/** Where the caller of an authorised call stands in its context. */
export const callerKey = createContextKey<Caller | undefined>(undefined, { description: 'caller' });

/**
 * The caller of this call.
 *
 * @throws INTERNAL when the authorisation was left out, so that no handler runs for nobody.
 */
export function getCaller(context: { readonly values: ContextValues }): Caller {
  const caller = context.values.get(callerKey);
  if (!caller) throw new DomainError('INTERNAL', 'the call was not authorised');
  return caller;
}

/**
 * The organization of the resource that this call is about.
 *
 * @throws INTERNAL for calls that are about none.
 */
export function getCallerOrganization(context: { readonly values: ContextValues }): string {
  const { organizationId } = getCaller(context);
  if (organizationId === null) throw new DomainError('INTERNAL', 'the call is about no organization');
  return organizationId;
}
