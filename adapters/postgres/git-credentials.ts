import { randomUUID } from 'node:crypto';
import { notFound } from '../../domain/errors.ts';
import type { Database } from './database.ts';
import { claimMutation, type Mutation } from './mutation-keys.ts';
import { type CreatedPage, isAfter } from './page.ts';

/** How a credential signs in. */
export type GitCredentialKind = 'https' | 'ssh';

/** A credential for a Git server or a repository, without its secret. */
export interface GitCredentialRecord {
  readonly id: string;
  readonly organizationId: string;
  readonly target: string;
  readonly kind: GitCredentialKind;
  /** Empty for SSH. */
  readonly username: string;
  /** First 12 hex digits of a keyed hash of the secret. */
  readonly fingerprint: string;
  /** Empty where it is not known. */
  readonly publicKey: string;
  readonly knownHosts: string;
  readonly createdAt: Date;
}

/** A credential to store, its secret sealed for the organization, the target and the kind, with its id as the version. */
export interface NewGitCredential extends Omit<GitCredentialRecord, 'createdAt'> {
  readonly sealedSecret: string;
}

const COLUMNS = [
  'git_credentials.id',
  'git_credentials.organization_id as organizationId',
  'git_credentials.target',
  'git_credentials.kind',
  'git_credentials.username',
  'git_credentials.fingerprint',
  'git_credentials.public_key as publicKey',
  'git_credentials.known_hosts as knownHosts',
  'git_credentials.created_at as createdAt',
] as const;

/**
 * Stores an organization's credential for a target, in place of the one of that kind that it has.
 *
 * @throws IDEMPOTENCY_CONFLICT; NOT_FOUND when a repeated call finds its credential replaced or deleted.
 */
export async function setGitCredential(
  db: Database,
  { idempotencyKey, requestHash, ...credential }: Mutation & NewGitCredential,
): Promise<GitCredentialRecord> {
  const { organizationId, target, kind, username, sealedSecret, fingerprint, publicKey, knownHosts } = credential;
  return await db.transaction().execute(async (tx) => {
    const claim = { idempotencyKey, requestHash, scope: organizationId, resourceId: credential.id };
    const { resourceId: id, isFirst } = await claimMutation(tx, claim);
    if (isFirst) {
      const content = {
        ...{ id, username, sealed_secret: sealedSecret, fingerprint },
        ...{ public_key: publicKey, known_hosts: knownHosts },
      };
      await tx
        .insertInto('git_credentials')
        .values({ ...content, organization_id: organizationId, target, kind })
        .onConflict((conflict) =>
          conflict
            .columns(['organization_id', 'target', 'kind'])
            .doUpdateSet((eb) => ({ ...content, created_at: eb.fn<Date>('now') })),
        )
        .execute();
    }
    const stored = await tx.selectFrom('git_credentials').select(COLUMNS).where('id', '=', id).executeTakeFirst();
    if (!stored) throw notFound('git credential');
    return stored;
  });
}

/** Lists the credentials of an organization, oldest first. */
export async function listGitCredentials(
  db: Database,
  { organizationId, limit, after }: CreatedPage & { readonly organizationId: string },
): Promise<GitCredentialRecord[]> {
  return await db
    .selectFrom('git_credentials')
    .select(COLUMNS)
    .where('organization_id', '=', organizationId)
    .$if(after !== undefined, (query) => (after ? query.where(isAfter('git_credentials', after)) : query))
    .orderBy('created_at')
    .orderBy('id')
    .limit(limit)
    .execute();
}

/**
 * Deletes an organization's credentials for a target. A repeated call finds them deleted and succeeds.
 *
 * @throws NOT_FOUND when there are none, IDEMPOTENCY_CONFLICT.
 */
export async function deleteGitCredential(
  db: Database,
  {
    organizationId,
    target,
    kind,
    ...mutation
  }: Mutation & Pick<GitCredentialRecord, 'organizationId' | 'target'> & { readonly kind?: GitCredentialKind },
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const claim = { ...mutation, scope: organizationId, resourceId: randomUUID() };
    const { isFirst } = await claimMutation(tx, claim);
    if (!isFirst) return;
    const deleted = await tx
      .deleteFrom('git_credentials')
      .where('organization_id', '=', organizationId)
      .where('target', '=', target)
      .$if(kind !== undefined, (query) => (kind ? query.where('kind', '=', kind) : query))
      .returning('id')
      .execute();
    if (deleted.length === 0) throw notFound('git credential');
  });
}

/** Finds an organization's credential of a kind for the first of some targets, its secret still sealed. */
export async function findGitCredential(
  db: Database,
  wanted: { readonly organizationId: string; readonly kind: GitCredentialKind; readonly targets: readonly string[] },
): Promise<Omit<NewGitCredential, 'fingerprint' | 'publicKey'> | undefined> {
  const { organizationId, kind, targets } = wanted;
  const found = await db
    .selectFrom('git_credentials')
    .select(['id', 'organization_id as organizationId', 'target', 'kind', 'username', 'known_hosts as knownHosts'])
    .select('sealed_secret as sealedSecret')
    .where('organization_id', '=', organizationId)
    .where('kind', '=', kind)
    .where('target', 'in', [...targets])
    .execute();
  return found.toSorted((one, other) => targets.indexOf(one.target) - targets.indexOf(other.target))[0];
}
