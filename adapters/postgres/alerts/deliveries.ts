import type { DeliveryRecords, PendingDelivery } from '../../../activities/deliver-notification.ts';
import { parseRule } from '../../../domain/alerts/alert-rules.ts';
import type { Notification } from '../../../domain/alerts/notification.ts';
import type { Database } from '../database.ts';
import { toStorableText } from '../events.ts';

/** Creates the records of deliveries. */
export function createDeliveryRecords(db: Database): DeliveryRecords {
  const update = (id: string) => db.updateTable('notifications').where('id', '=', id).where('state', '=', 'waiting');
  return {
    find: (id) => find(db, id),
    recordFailure: async (id, message) => {
      await update(id)
        .set((eb) => ({ attempts: eb('attempts', '+', 1), last_error: toStorableText(message, 1_000) }))
        .execute();
    },
    recordDelivered: async (id) => {
      await update(id)
        .set((eb) => ({
          ...{ state: 'delivered' as const, last_error: null },
          ...{ attempts: eb('attempts', '+', 1), finished_at: eb.fn<Date>('now') },
        }))
        .execute();
    },
    giveUp: async (id, message) => {
      await update(id)
        .set((eb) => ({
          ...{
            state: 'failed' as const,
            last_error: eb.fn.coalesce('last_error', eb.val(toStorableText(message, 1_000))),
          },
          finished_at: eb.fn<Date>('now'),
        }))
        .execute();
    },
  };
}

async function find(db: Database, id: string): Promise<PendingDelivery | undefined> {
  const row = await db
    .selectFrom('notifications as n')
    .innerJoin('notification_targets as t', 't.id', 'n.target_id')
    .leftJoin('alerts as a', 'a.id', 'n.alert_id')
    .leftJoin('organizations as o', 'o.id', 'a.organization_id')
    .select(['n.kind', 'n.alert_id', 't.id as targetId', 't.organization_id as organizationId', 't.config'])
    .select([
      't.sealed_secret as sealedSecret',
      'o.name as organization',
      'a.rule',
      'a.severity',
      'a.value',
      'a.detail',
    ])
    .select(['a.deployment_name', 'a.deployment_id', 'a.node_id', 'a.fired_at', 'a.resolved_at'])
    .select((eb) =>
      eb
        .exists(
          eb
            .selectFrom('notifications as first')
            .select('first.id')
            .whereRef('first.alert_id', '=', 'n.alert_id')
            .whereRef('first.target_id', '=', 'n.target_id')
            .where('first.state', '=', 'waiting')
            .where('first.kind', '=', 'fired')
            .where('n.kind', '=', 'resolved'),
        )
        .as('isBehind'),
    )
    .where('n.id', '=', id)
    .where('n.state', '=', 'waiting')
    .executeTakeFirst();
  if (!row) return undefined;
  const { targetId, organizationId, config, sealedSecret } = row;
  const target = { id: targetId, organizationId, config, sealedSecret };
  return { notification: { id, kind: row.kind, alert: alertOf(row) }, target, isBehind: row.isBehind === true };
}

function alertOf(row: {
  readonly alert_id: string | null;
  readonly rule: string | null;
  readonly severity: 'warning' | 'critical' | null;
  readonly value: number | null;
  readonly detail: string | null;
  readonly organization: string | null;
  readonly deployment_name: string | null;
  readonly deployment_id: string | null;
  readonly node_id: string | null;
  readonly fired_at: Date | null;
  readonly resolved_at: Date | null;
}): Notification['alert'] {
  if (row.alert_id === null || row.rule === null || row.fired_at === null) return null;
  const rule = parseRule('rule', row.rule);
  return {
    ...{ id: row.alert_id, rule: rule.name, severity: row.severity ?? rule.severity, unit: rule.unit },
    summary: row.detail ? `${rule.summary} (${row.detail})` : rule.summary,
    value: row.value ?? 0,
    organization: row.organization,
    deployment: row.deployment_name || null,
    ...{ deployment_id: row.deployment_id, node_id: row.node_id },
    firing_since: row.fired_at.toISOString(),
    resolved_at: row.resolved_at?.toISOString() ?? null,
  };
}
