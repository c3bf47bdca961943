import { randomUUID } from 'node:crypto';
import type { Database } from './database.ts';
import { claimMutation, type Mutation, nameTaken } from './mutation-keys.ts';
import { type CreatedPage, isAfter } from './page.ts';

/** An organization. */
export interface OrganizationRecord {
  readonly id: string;
  readonly name: string;
  readonly createdAt: Date;
}

const COLUMNS = ['organizations.id', 'organizations.name', 'organizations.created_at as createdAt'] as const;

/**
 * Creates an organization with the user as its owner and a project `default`.
 *
 * @throws NAME_TAKEN, IDEMPOTENCY_CONFLICT.
 */
export async function createOrganization(
  db: Database,
  { userId, name, ...mutation }: Mutation & { readonly userId: string; readonly name: string },
): Promise<OrganizationRecord> {
  return await db.transaction().execute(async (tx) => {
    const claim = await claimMutation(tx, { ...mutation, scope: userId, resourceId: randomUUID() });
    const id = claim.resourceId;
    if (claim.isFirst) {
      const created = await tx
        .insertInto('organizations')
        .values({ id, name })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .returning('id')
        .executeTakeFirst();
      if (!created) throw nameTaken(name, 'the platform');
      await tx.insertInto('memberships').values({ organization_id: id, user_id: userId, role: 'owner' }).execute();
      await tx.insertInto('projects').values({ id: randomUUID(), organization_id: id, name: 'default' }).execute();
    }
    return await tx.selectFrom('organizations').select(COLUMNS).where('id', '=', id).executeTakeFirstOrThrow();
  });
}

/** Finds one organization. */
export async function findOrganization(db: Database, id: string): Promise<OrganizationRecord | undefined> {
  return await db.selectFrom('organizations').select(COLUMNS).where('id', '=', id).executeTakeFirst();
}

/** Lists the organizations that a user belongs to, oldest first. */
export async function listOrganizations(
  db: Database,
  { userId, limit, after }: CreatedPage & { readonly userId: string },
): Promise<OrganizationRecord[]> {
  return await db
    .selectFrom('organizations')
    .select(COLUMNS)
    .where('organizations.id', 'in', (eb) =>
      eb.selectFrom('memberships').select('organization_id').where('user_id', '=', userId),
    )
    .$if(after !== undefined, (query) => (after ? query.where(isAfter('organizations', after)) : query))
    .orderBy('organizations.created_at')
    .orderBy('organizations.id')
    .limit(limit)
    .execute();
}
