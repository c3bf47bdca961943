import { DomainError } from '../../domain/errors.ts';
import type { DatabaseTransaction } from './database.ts';

/** A mutation outside deployments, recognised by its key when it is repeated. */
export interface Mutation {
  readonly idempotencyKey: string;
  /** Hex SHA-256 of what was asked. */
  readonly requestHash: string;
}

/** Whose a key is: the resource of the first call with it, and whether that is this call. */
export interface Claim {
  readonly resourceId: string;
  readonly isFirst: boolean;
}

/**
 * Claims a key for a mutation, as the first thing of its transaction: a repeated call waits for the first one to end.
 *
 * @throws IDEMPOTENCY_CONFLICT when the key was used for something else.
 */
export async function claimMutation(
  tx: DatabaseTransaction,
  { scope, resourceId, idempotencyKey, requestHash }: Mutation & { scope: string; resourceId: string },
): Promise<Claim> {
  const claimed = await tx
    .insertInto('mutation_keys')
    .values({ scope, key: idempotencyKey, request_hash: requestHash, resource_id: resourceId })
    .onConflict((conflict) => conflict.columns(['scope', 'key']).doNothing())
    .returning('resource_id')
    .executeTakeFirst();
  if (claimed) return { resourceId, isFirst: true };
  const first = await tx
    .selectFrom('mutation_keys')
    .select(['request_hash', 'resource_id'])
    .where('scope', '=', scope)
    .where('key', '=', idempotencyKey)
    .executeTakeFirstOrThrow();
  if (first.request_hash !== requestHash) throw idempotencyConflict(idempotencyKey);
  return { resourceId: first.resource_id, isFirst: false };
}

/** Refuses a key that belongs to another request. */
export function idempotencyConflict(idempotencyKey: string): DomainError {
  return new DomainError('IDEMPOTENCY_CONFLICT', `idempotency key ${idempotencyKey} was used for another request`, {
    field: 'idempotency_key',
    hint: 'Use a new idempotency key for each new request.',
  });
}

/** Refuses a name that somebody else has. */
export function nameTaken(name: string, place: string): DomainError {
  return new DomainError('NAME_TAKEN', `name ${name} is taken in ${place}`, {
    field: 'name',
    hint: 'Choose another name.',
  });
}
