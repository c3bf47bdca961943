import type { RuleOverride } from '../../../domain/alerts/alert-rules.ts';
import type { Database } from '../database.ts';

/** Whose rule is set, and by whom. */
export interface RulePlace {
  readonly deploymentId: string;
  readonly rule: string;
}

/** Reads what members have set for a deployment, by rule. */
export async function readOverrides(db: Database, deploymentId: string): Promise<ReadonlyMap<string, RuleOverride>> {
  const rows = await db.selectFrom('alert_rules').selectAll().where('deployment_id', '=', deploymentId).execute();
  return new Map(
    rows.map((row) => [
      row.rule,
      { isEnabled: row.enabled, fireAt: row.fire_at, clearAt: row.clear_at, forMs: row.for_ms },
    ]),
  );
}

/** Sets a rule, in place of what was set before. */
export async function setOverride(
  db: Database,
  {
    deploymentId,
    rule,
    override,
    ...by
  }: RulePlace & {
    readonly organizationId: string;
    readonly actorUserId: string;
    readonly override: RuleOverride;
  },
): Promise<void> {
  const set = {
    ...{ enabled: override.isEnabled, fire_at: override.fireAt, clear_at: override.clearAt, for_ms: override.forMs },
    actor_user_id: by.actorUserId,
  };
  await db
    .insertInto('alert_rules')
    .values({ deployment_id: deploymentId, organization_id: by.organizationId, rule, ...set })
    .onConflict((conflict) =>
      conflict.columns(['deployment_id', 'rule']).doUpdateSet((eb) => ({ ...set, changed_at: eb.fn<Date>('now') })),
    )
    .execute();
}

/** Forgets what was set. */
export async function resetOverride(db: Database, { deploymentId, rule }: RulePlace): Promise<void> {
  await db.deleteFrom('alert_rules').where('deployment_id', '=', deploymentId).where('rule', '=', rule).execute();
}
