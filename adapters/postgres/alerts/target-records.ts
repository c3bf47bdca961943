import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { TARGET_LIMITS, type TargetConfig } from '../../../domain/alerts/targets.ts';
import { DomainError, notFound } from '../../../domain/errors.ts';
import type { Database } from '../database.ts';
import { claimMutation, type Mutation, nameTaken } from '../mutation-keys.ts';

/** A target, without its secret, and how its deliveries went. */
export interface TargetRecord {
  readonly id: string;
  readonly organizationId: string;
  readonly name: string;
  readonly config: TargetConfig;
  readonly platform: boolean;
  readonly createdAt: Date;
  readonly deliveredAt: Date | null;
  readonly waiting: number;
  readonly failed: number;
  readonly lastError: string | null;
}

/** A target to add, its secret sealed under its id. */
export interface NewTarget extends Mutation {
  readonly id: string;
  readonly organizationId: string;
  readonly name: string;
  readonly config: TargetConfig;
  readonly sealedSecret: string | null;
}

/** Adds a target. @throws IDEMPOTENCY_CONFLICT, NAME_TAKEN, INVALID_ARGUMENT (too many), NOT_FOUND (deleted since) */
export async function createTarget(db: Database, target: NewTarget): Promise<TargetRecord> {
  const { id: proposed, organizationId, name, config, sealedSecret, ...mutation } = target;
  const id = await db.transaction().execute(async (tx) => {
    const claim = await claimMutation(tx, { ...mutation, scope: organizationId, resourceId: proposed });
    if (!claim.isFirst) return claim.resourceId;
    // Two at once wait for each other here, so that neither passes the bound.
    await tx.selectFrom('organizations').select('id').where('id', '=', organizationId).forNoKeyUpdate().execute();
    const { count } = await tx
      .selectFrom('notification_targets')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('organization_id', '=', organizationId)
      .executeTakeFirstOrThrow();
    if (count >= TARGET_LIMITS.perOrganization) throw tooMany();
    const created = await tx
      .insertInto('notification_targets')
      .values({
        ...{ id: proposed, organization_id: organizationId, name },
        ...{ config: JSON.stringify(config), sealed_secret: sealedSecret },
      })
      .onConflict((conflict) => conflict.columns(['organization_id', 'name']).doNothing())
      .returning('id')
      .executeTakeFirst();
    if (!created) throw nameTaken(name, 'the organization');
    return created.id;
  });
  const found = (await listTargets(db, organizationId)).find((one) => one.id === id);
  if (!found) throw notFound('notification target');
  return found;
}

/** Lists the targets of an organization, oldest first. */
export async function listTargets(db: Database, organizationId: string): Promise<TargetRecord[]> {
  const { rows } = await sql<TargetRecord>`
    SELECT t.id, t.organization_id AS "organizationId", t.name, t.config, t.platform, t.created_at AS "createdAt",
      n.delivered AS "deliveredAt", n.waiting, n.failed, e.last_error AS "lastError"
    FROM notification_targets t
    LEFT JOIN LATERAL (
      SELECT max(finished_at) FILTER (WHERE state = 'delivered') AS delivered,
        count(*) FILTER (WHERE state = 'waiting')::integer AS waiting,
        count(*) FILTER (WHERE state = 'failed')::integer AS failed
      FROM notifications WHERE target_id = t.id
    ) n ON true
    LEFT JOIN LATERAL (
      SELECT last_error FROM notifications WHERE target_id = t.id AND last_error IS NOT NULL
      ORDER BY created_at DESC LIMIT 1
    ) e ON true
    WHERE t.organization_id = ${organizationId}
    ORDER BY t.created_at, t.id
    LIMIT ${TARGET_LIMITS.perOrganization}`.execute(db);
  return rows;
}

/** Finds a target by its name. @throws NOT_FOUND */
export async function getTarget(db: Database, organizationId: string, name: string): Promise<TargetRecord> {
  const found = (await listTargets(db, organizationId)).find((one) => one.name === name);
  if (!found) throw notFound('notification target');
  return found;
}

/** Removes a target, with what was on its way there. @throws NOT_FOUND */
export async function deleteTarget(db: Database, organizationId: string, name: string): Promise<void> {
  const deleted = await db
    .deleteFrom('notification_targets')
    .where('organization_id', '=', organizationId)
    .where('name', '=', name)
    .returning('id')
    .executeTakeFirst();
  if (!deleted) throw notFound('notification target');
}

/** Says whether the platform's own alerts are told at a target. @throws NOT_FOUND */
export async function setPlatformTarget(
  db: Database,
  {
    organizationId,
    name,
    platform,
  }: { readonly organizationId: string; readonly name: string; readonly platform: boolean },
): Promise<TargetRecord> {
  await db
    .updateTable('notification_targets')
    .set({ platform })
    .where('organization_id', '=', organizationId)
    .where('name', '=', name)
    .execute();
  return await getTarget(db, organizationId, name);
}

/** Puts a test of a target into the outbox, once per key. @throws IDEMPOTENCY_CONFLICT */
export async function createTestNotification(
  db: Database,
  { organizationId, targetId, ...mutation }: Mutation & { readonly organizationId: string; readonly targetId: string },
): Promise<string> {
  return await db.transaction().execute(async (tx) => {
    const claim = await claimMutation(tx, { ...mutation, scope: organizationId, resourceId: randomUUID() });
    const row = { id: claim.resourceId, target_id: targetId, kind: 'test' } as const;
    if (claim.isFirst) await tx.insertInto('notifications').values(row).execute();
    return claim.resourceId;
  });
}

function tooMany(): DomainError {
  return new DomainError('INVALID_ARGUMENT', `the organization has ${TARGET_LIMITS.perOrganization} targets already`, {
    hint: 'Remove one that is not needed any more.',
  });
}
