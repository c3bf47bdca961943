import { sql } from 'kysely';
import type { Database } from './database.ts';
import type { Role } from './schema.ts';

/** What can be asked for its owner. */
export type OwnedKind = 'organization' | 'project' | 'deployment' | 'route' | 'operation';

/**
 * Finds the organization that owns something; `undefined` when it does not exist.
 *
 * What was deleted still belongs to its organization as far as history tells, so a repeated delete is answered like
 * the first one.
 */
export async function findOrganizationOf(db: Database, kind: OwnedKind, id: string): Promise<string | undefined> {
  const owner = await OWNER_QUERIES[kind](db, id).executeTakeFirst();
  return owner?.organizationId;
}

const OWNER_QUERIES = {
  organization: (db: Database, id: string) =>
    db.selectFrom('organizations').select('id as organizationId').where('id', '=', id),
  project: (db: Database, id: string) =>
    db
      .selectFrom('projects')
      .select('organization_id as organizationId')
      .where('id', '=', id)
      .unionAll((eb) =>
        eb
          .selectFrom('mutation_keys')
          .innerJoin('organizations', 'organizations.id', 'mutation_keys.scope')
          .select('organizations.id as organizationId')
          .where('mutation_keys.resource_id', '=', id),
      )
      .limit(1),
  deployment: (db: Database, id: string) =>
    db
      .selectFrom('deployments')
      .select('organization_id as organizationId')
      .where('id', '=', id)
      .unionAll((eb) =>
        eb.selectFrom('operations').select('organization_id as organizationId').where('deployment_id', '=', id),
      )
      .limit(1),
  route: (db: Database, id: string) =>
    db.selectFrom('routes').select('organization_id as organizationId').where('id', '=', id),
  operation: (db: Database, id: string) =>
    db.selectFrom('operations').select('organization_id as organizationId').where('id', '=', id),
} as const;

/** Finds a user's role in an organization; `undefined` for somebody who does not belong to it. */
export async function findRole(
  db: Database,
  { userId, organizationId }: { readonly userId: string; readonly organizationId: string },
): Promise<Role | undefined> {
  const membership = await db
    .selectFrom('memberships')
    .select('role')
    .where('organization_id', '=', organizationId)
    .where('user_id', '=', userId)
    .executeTakeFirst();
  return membership?.role;
}

/** Answers whether the database answers: one round trip. @throws DATABASE_UNAVAILABLE */
export async function pingDatabase(db: Database): Promise<void> {
  await sql`SELECT 1`.execute(db);
}
