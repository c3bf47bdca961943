import { createHash, randomUUID } from 'node:crypto';
import type { Database, DatabaseTransaction } from './database.ts';
import type { Role } from './schema.ts';

/** A user as the token of an identity provider names it. */
export interface UserIdentity {
  readonly issuer: string;
  readonly subject: string;
  /** Empty where the provider gives none. */
  readonly email: string;
}

/** A user's place in an organization. */
export interface MembershipRecord {
  readonly organizationId: string;
  readonly organizationName: string;
  readonly role: Role;
}

/** A user of the platform. */
export interface UserRecord {
  readonly userId: string;
  /** By the organization's age, oldest first. */
  readonly memberships: readonly MembershipRecord[];
}

/**
 * Finds the user of a token, or creates it with a personal organization and a project `default`, all or nothing.
 *
 * Safe to run at the same time for the same user: one of them creates, the others find. A changed e-mail is stored.
 */
export async function ensureUser(db: Database, identity: UserIdentity): Promise<UserRecord> {
  const known = await findUser(db, identity);
  if (known) return known;
  await db.transaction().execute((tx) => createUser(tx, identity));
  const created = await findUser(db, identity);
  if (!created) throw new Error('a user that was just created is gone');
  return created;
}

async function findUser(db: Database, { issuer, subject, email }: UserIdentity): Promise<UserRecord | undefined> {
  const user = await db
    .selectFrom('users')
    .select(['id', 'email'])
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
    .executeTakeFirst();
  if (!user) return undefined;
  if (email !== '' && email !== user.email) {
    await db.updateTable('users').set({ email }).where('id', '=', user.id).execute();
  }
  return { userId: user.id, memberships: await listMemberships(db, user.id) };
}

/** The organizations that a user belongs to, oldest first. */
export async function listMemberships(db: Database, userId: string): Promise<MembershipRecord[]> {
  return await db
    .selectFrom('memberships')
    .innerJoin('organizations', 'organizations.id', 'memberships.organization_id')
    .select(['organizations.id as organizationId', 'organizations.name as organizationName', 'memberships.role'])
    .where('memberships.user_id', '=', userId)
    .orderBy('organizations.created_at')
    .orderBy('organizations.id')
    .limit(1000)
    .execute();
}

async function createUser(tx: DatabaseTransaction, identity: UserIdentity): Promise<void> {
  const created = await tx
    .insertInto('users')
    .values({ id: randomUUID(), issuer: identity.issuer, subject: identity.subject, email: identity.email })
    .onConflict((conflict) => conflict.columns(['issuer', 'subject']).doNothing())
    .returning('id')
    .executeTakeFirst();
  if (!created) return;
  const organizationId = await createPersonalOrganization(tx, identity);
  await tx
    .insertInto('memberships')
    .values({ organization_id: organizationId, user_id: created.id, role: 'owner' })
    .execute();
  await tx
    .insertInto('projects')
    .values({ id: randomUUID(), organization_id: organizationId, name: 'default' })
    .execute();
}

async function createPersonalOrganization(tx: DatabaseTransaction, identity: UserIdentity): Promise<string> {
  for (const name of personalNames(identity)) {
    const created = await tx
      .insertInto('organizations')
      .values({ id: randomUUID(), name })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .returning('id')
      .executeTakeFirst();
    if (created) return created.id;
  }
  throw new Error('every name for a personal organization is taken');
}

/** Names to try, from the friendliest to one that only somebody who means to can take. */
function personalNames({ issuer, subject, email }: UserIdentity): string[] {
  const hash = createHash('sha256').update(issuer).update('\0').update(subject).digest('hex');
  const base = toLabel(email.split('@')[0] ?? '') ?? toLabel(subject) ?? 'user';
  return [base, `${base}-${hash.slice(0, 6)}`, `user-${hash.slice(0, 32)}`, `user-${randomUUID()}`];
}

/** A DNS label of 2 to 40 characters that begins with a letter, made of what is usable; `undefined` without any. */
function toLabel(text: string): string | undefined {
  const usable = text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  const label = usable
    .replace(/^[^a-z]+/, '')
    .slice(0, 40)
    .replace(/-+$/, '');
  return label.length >= 2 ? label : undefined;
}
