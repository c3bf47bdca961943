import { randomUUID } from 'node:crypto';
import { notFound } from '../../domain/errors.ts';
import type { Database } from './database.ts';
import { claimMutation, type Mutation } from './mutation-keys.ts';
import { type CreatedPage, isAfter } from './page.ts';

/** A credential for a registry, without its password. */
export interface RegistryCredentialRecord {
  readonly id: string;
  readonly organizationId: string;
  readonly host: string;
  readonly username: string;
  /** First 12 hex digits of a keyed hash of the password. */
  readonly fingerprint: string;
  readonly createdAt: Date;
}

/** A credential to store, its password sealed for the organization and the registry under the id as its version. */
export interface NewRegistryCredential {
  readonly id: string;
  readonly organizationId: string;
  readonly host: string;
  readonly username: string;
  readonly sealedPassword: string;
  readonly fingerprint: string;
}

const COLUMNS = [
  'registry_credentials.id',
  'registry_credentials.organization_id as organizationId',
  'registry_credentials.host',
  'registry_credentials.username',
  'registry_credentials.fingerprint',
  'registry_credentials.created_at as createdAt',
] as const;

/**
 * Stores an organization's credential for a registry, in place of the one that it has.
 *
 * @throws IDEMPOTENCY_CONFLICT; NOT_FOUND when a repeated call finds its credential replaced or deleted.
 */
export async function setRegistryCredential(
  db: Database,
  { id: proposed, organizationId, host, username, ...rest }: Mutation & NewRegistryCredential,
): Promise<RegistryCredentialRecord> {
  return await db.transaction().execute(async (tx) => {
    const { sealedPassword, fingerprint, ...mutation } = rest;
    const claim = await claimMutation(tx, { ...mutation, scope: organizationId, resourceId: proposed });
    const { resourceId: id, isFirst } = claim;
    if (isFirst) {
      const content = { id, version: id, username, sealed_password: sealedPassword, fingerprint };
      await tx
        .insertInto('registry_credentials')
        .values({ ...content, organization_id: organizationId, host })
        .onConflict((conflict) =>
          conflict
            .columns(['organization_id', 'host'])
            .doUpdateSet((eb) => ({ ...content, created_at: eb.fn<Date>('now') })),
        )
        .execute();
    }
    const stored = tx.selectFrom('registry_credentials').select(COLUMNS).where('id', '=', id);
    const credential = await stored.executeTakeFirst();
    if (!credential) throw notFound('registry credential');
    return credential;
  });
}

/** Lists the credentials of an organization, oldest first. */
export async function listRegistryCredentials(
  db: Database,
  { organizationId, limit, after }: CreatedPage & { readonly organizationId: string },
): Promise<RegistryCredentialRecord[]> {
  return await db
    .selectFrom('registry_credentials')
    .select(COLUMNS)
    .where('organization_id', '=', organizationId)
    .$if(after !== undefined, (query) => (after ? query.where(isAfter('registry_credentials', after)) : query))
    .orderBy('created_at')
    .orderBy('id')
    .limit(limit)
    .execute();
}

/**
 * Deletes an organization's credential for a registry. A repeated call finds it deleted and succeeds.
 *
 * @throws NOT_FOUND, IDEMPOTENCY_CONFLICT.
 */
export async function deleteRegistryCredential(
  db: Database,
  { organizationId, host, ...mutation }: Mutation & { readonly organizationId: string; readonly host: string },
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const claim = { ...mutation, scope: organizationId, resourceId: randomUUID() };
    const { isFirst } = await claimMutation(tx, claim);
    if (!isFirst) return;
    const deleted = await tx
      .deleteFrom('registry_credentials')
      .where('organization_id', '=', organizationId)
      .where('host', '=', host)
      .returning('id')
      .executeTakeFirst();
    if (!deleted) throw notFound('registry credential');
  });
}

/** A credential with its password still sealed. */
export interface SealedRegistryCredential {
  readonly id: string;
  readonly username: string;
  readonly sealedPassword: string;
  /** `null` for a password that was sealed before passwords had versions. */
  readonly version: string | null;
}

/** Finds an organization's credential for a registry. */
export async function findRegistryCredential(
  db: Database,
  { organizationId, host }: { readonly organizationId: string; readonly host: string },
): Promise<SealedRegistryCredential | undefined> {
  return await db
    .selectFrom('registry_credentials')
    .select(['id', 'username', 'sealed_password as sealedPassword', 'version'])
    .where('organization_id', '=', organizationId)
    .where('host', '=', host)
    .executeTakeFirst();
}
