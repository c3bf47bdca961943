import type { Database } from './database.ts';

/**
 * Finds an organization's wrapped data key, or stores the proposed one. Of concurrent callers one stores, and all get
 * the same key.
 */
export async function findOrCreateOrganizationKey(
  db: Database,
  { organizationId, proposedWrappedKey }: { readonly organizationId: string; readonly proposedWrappedKey: string },
): Promise<string> {
  const created = await db
    .insertInto('organization_keys')
    .values({ organization_id: organizationId, wrapped_key: proposedWrappedKey })
    .onConflict((conflict) => conflict.column('organization_id').doNothing())
    .returning('wrapped_key')
    .executeTakeFirst();
  return created?.wrapped_key ?? (await getKey(db, organizationId));
}

/** Finds an organization's wrapped data key. */
export async function findOrganizationKey(db: Database, organizationId: string): Promise<string | undefined> {
  const found = await db
    .selectFrom('organization_keys')
    .select('wrapped_key')
    .where('organization_id', '=', organizationId)
    .executeTakeFirst();
  return found?.wrapped_key;
}

async function getKey(db: Database, organizationId: string): Promise<string> {
  const key = await findOrganizationKey(db, organizationId);
  if (key === undefined) throw new Error('an organization key is there and not there');
  return key;
}
