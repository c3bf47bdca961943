import { randomUUID } from 'node:crypto';
import { DomainError, notFound } from '../../domain/errors.ts';
import type { StoredDataKey } from '../sealing/data-keys.ts';
import type { DataKeyStore } from '../sealing/organization-keys.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { claimMutation, type Mutation } from './mutation-keys.ts';

/** What the check of the table allows; every version stays readable, so all of an organization's are read at once. */
const MAX_VERSIONS = 1000;

/** Creates the store of organizations' wrapped data keys. */
export function createDataKeyStore(db: Database): DataKeyStore {
  return {
    listDataKeys: (organizationId) => listDataKeys(db, organizationId),
    storeFirstDataKey: async ({ organizationId, wrappedKey }) => {
      await db
        .insertInto('organization_keys')
        .values({ id: randomUUID(), organization_id: organizationId, version: 1, wrapped_key: wrappedKey })
        .onConflict((conflict) => conflict.columns(['organization_id', 'version']).doNothing())
        .execute();
    },
  };
}

async function listDataKeys(db: Database, organizationId: string): Promise<StoredDataKey[]> {
  return await db
    .selectFrom('organization_keys')
    .select(['version', 'wrapped_key as wrappedKey'])
    .where('organization_id', '=', organizationId)
    .orderBy('version')
    .execute();
}

/** A new version of an organization's data key. */
export interface NewDataKey {
  readonly organizationId: string;
  /** Makes the wrapped key once its version is known. */
  readonly make: (version: number) => string;
}

/**
 * Gives an organization a new data key: what is sealed from now on is sealed by it, what was sealed before stays
 * readable by the older ones. A repeated call answers with the version that the first one made.
 *
 * @throws NOT_FOUND, IDEMPOTENCY_CONFLICT; INVALID_ARGUMENT when the organization has as many as it may have.
 */
export async function renewDataKey(
  db: Database,
  { organizationId, make, ...mutation }: Mutation & NewDataKey,
): Promise<{ readonly version: number }> {
  return await db.transaction().execute(async (tx) => {
    await lockOrganization(tx, organizationId);
    const claim = await claimMutation(tx, { ...mutation, scope: organizationId, resourceId: randomUUID() });
    const { resourceId: id, isFirst } = claim;
    // A first sealing at the same time may make version 1, once.
    if (isFirst && !(await insertNext(tx, id, { organizationId, make }))) {
      await insertNext(tx, id, { organizationId, make });
    }
    const made = tx.selectFrom('organization_keys').select('version').where('id', '=', id);
    return await made.executeTakeFirstOrThrow();
  });
}

/** One renewal of an organization at a time. */
async function lockOrganization(tx: DatabaseTransaction, organizationId: string): Promise<void> {
  const found = tx.selectFrom('organizations').select('id').where('id', '=', organizationId);
  if (!(await found.forNoKeyUpdate().executeTakeFirst())) throw notFound('organization');
}

/** Says whether it did: not when somebody else has made that version meanwhile. */
async function insertNext(tx: DatabaseTransaction, id: string, { organizationId, make }: NewDataKey): Promise<boolean> {
  const newest = await tx
    .selectFrom('organization_keys')
    .select('version')
    .where('organization_id', '=', organizationId)
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirst();
  const version = (newest?.version ?? 0) + 1;
  if (version > MAX_VERSIONS) throw tooMany();
  const inserted = await tx
    .insertInto('organization_keys')
    .values({ id, organization_id: organizationId, version, wrapped_key: make(version) })
    .onConflict((conflict) => conflict.columns(['organization_id', 'version']).doNothing())
    .returning('id')
    .executeTakeFirst();
  return inserted !== undefined;
}

function tooMany(): DomainError {
  return new DomainError('INVALID_ARGUMENT', `the organization has ${MAX_VERSIONS} data keys; more are not allowed`, {
    field: 'organization_id',
  });
}
