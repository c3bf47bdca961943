import { randomUUID } from 'node:crypto';
import { type SqlBool, sql } from 'kysely';
import { isSilenced } from '../../../domain/alerts/silences.ts';
import { type Database, type DatabaseTransaction, ROWS_PER_INSERT } from '../database.ts';
import { isOneOf, isOneOfTexts } from '../page.ts';
import { readSilences } from './silence-records.ts';

/** Targets that alerts of the platform are told to, at most. */
const PLATFORM_TARGETS = 20;

/**
 * Puts into the outbox what is to be told of the alerts of some subjects: each that fires and is not silenced, once, and
 * the end of each that was told. What is silenced now is told when the silence ends, if it still fires then.
 */
export async function fillOutbox(
  tx: DatabaseTransaction,
  { subjectIds, now }: { readonly subjectIds: readonly string[]; readonly now: Date },
): Promise<void> {
  const alerts = await tx
    .selectFrom('alerts')
    .select(['id', 'organization_id as organizationId', 'rule', 'deployment_id as deploymentId'])
    .select(['node_id as nodeId', 'state', 'told'])
    .where(isOneOfTexts('subject', subjectIds))
    .where((eb) =>
      eb.or([
        eb.and([eb('state', '=', 'firing'), eb('told', '=', false)]),
        eb.and([eb('state', '=', 'resolved'), eb('told', '=', true), eb('resolved_at', '=', now)]),
      ]),
    )
    .execute();
  if (alerts.length === 0) return;
  const silences = await readSilences(tx, now);
  const toTell = alerts.filter((alert) => alert.state === 'resolved' || !isSilenced(alert, silences, now.getTime()));
  if (toTell.length === 0) return;
  const organizationIds = [...new Set(toTell.flatMap(({ organizationId }) => organizationId ?? []))];
  const targets = await readTargets(tx, organizationIds);
  const rows = toTell.flatMap((alert) =>
    targets
      .filter(({ organizationId, isPlatform }) =>
        alert.organizationId === null ? isPlatform : organizationId === alert.organizationId,
      )
      .map(({ id }) => ({ id: randomUUID(), alert_id: alert.id, target_id: id, kind: kindOf(alert) })),
  );
  for (let at = 0; at < rows.length; at += ROWS_PER_INSERT) {
    await tx
      .insertInto('notifications')
      .values(rows.slice(at, at + ROWS_PER_INSERT))
      .onConflict((conflict) => conflict.columns(['alert_id', 'target_id', 'kind']).doNothing())
      .execute();
  }
  const told = toTell.filter(({ state }) => state === 'firing').map(({ id }) => id);
  if (told.length > 0) await tx.updateTable('alerts').set({ told: true }).where(isOneOf('id', told)).execute();
}

async function readTargets(tx: DatabaseTransaction, organizationIds: readonly string[]) {
  const targets = tx
    .selectFrom('notification_targets')
    .select(['id', 'organization_id as organizationId', 'platform as isPlatform'])
    .orderBy('id');
  const ofOrganizations = await targets.where(isOneOf('organization_id', organizationIds)).execute();
  const ofPlatform = await targets.where('platform', '=', true).limit(PLATFORM_TARGETS).execute();
  return [...new Map([...ofOrganizations, ...ofPlatform].map((target) => [target.id, target])).values()];
}

function kindOf({ state }: { readonly state: string }): 'fired' | 'resolved' {
  return state === 'resolved' ? 'resolved' : 'fired';
}

/** Notifications that are given to workflows at a time. */
const DISPATCHED_AT_ONCE = 500;

/** A workflow that was asked for and is not heard of is asked for again: somebody may have terminated it. */
const HAS_NO_WORKFLOW = sql<SqlBool>`(dispatched_at IS NULL OR dispatched_at < now() - interval '15 minutes')`;

/** Lists what waits in the outbox and has no workflow that is known of, oldest first. */
export async function listUndispatched(db: Database): Promise<string[]> {
  const rows = await db
    .selectFrom('notifications')
    .select('id')
    .where('state', '=', 'waiting')
    .where(HAS_NO_WORKFLOW)
    .orderBy('created_at')
    .orderBy('id')
    .limit(DISPATCHED_AT_ONCE)
    .execute();
  return rows.map(({ id }) => id);
}

/** Notes that workflows have been asked to deliver these. */
export async function markDispatched(db: Database, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await db
    .updateTable('notifications')
    .set((eb) => ({ dispatched_at: eb.fn<Date>('now') }))
    .where(isOneOf('id', ids))
    .where('state', '=', 'waiting')
    .execute();
}
