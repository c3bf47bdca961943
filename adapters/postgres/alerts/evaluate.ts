import type { MeasuredUsage } from '../../../activities/evaluate-alerts.ts';
import type { RuleOverride } from '../../../domain/alerts/alert-rules.ts';
import { type AlertRuleName, parseRule } from '../../../domain/alerts/alert-rules.ts';
import type { AlertState } from '../../../domain/alerts/alert-state.ts';
import { planAlerts, type Subject } from '../../../domain/alerts/subject.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import { isOneOf, isOneOfTexts } from '../page.ts';
import { readDeploymentSubjects } from './deployment-readings.ts';
import { resolveGone } from './gone.ts';
import { readNodeSubjects } from './node-readings.ts';
import { fillOutbox } from './outbox.ts';
import { type OpenAlert, storeChanges } from './store-changes.ts';

/** What one transaction evaluates. */
export type Evaluated =
  | {
      readonly kind: 'deployments';
      readonly ids: readonly string[];
      readonly usage: ReadonlyMap<string, MeasuredUsage> | null;
    }
  | { readonly kind: 'nodes'; readonly ids: readonly string[] };

/** What it did. */
export interface EvaluationCounts {
  readonly fired: number;
  readonly resolved: number;
}

/**
 * Carries the alerts of some subjects on, in one transaction: their states and what is to be told of them.
 *
 * Evaluations wait for each other at the clock's row, so two at once do one after the other what one would do, and the
 * numbers of transitions can be read in the order in which they are committed. The database's time is the one that counts.
 */
export async function evaluateSubjects(db: Database, evaluated: Evaluated): Promise<EvaluationCounts> {
  return await db.transaction().execute(async (tx) => {
    const clock = await lockClock(tx);
    const { now } = clock;
    const subjects =
      evaluated.kind === 'nodes'
        ? await readNodeSubjects(tx, evaluated.ids, now)
        : await readDeploymentSubjects(tx, evaluated.ids, evaluated.usage, now);
    const open = await readOpen(tx, evaluated);
    const overrides = evaluated.kind === 'nodes' ? new Map() : await readOverrides(tx, evaluated.ids);
    const changes = subjects.flatMap((subject) =>
      planAlerts({ subject, open: statesOf(open, subject), overrides: overrides.get(subject.id) ?? {} }, now.getTime()),
    );
    let version = await storeChanges(tx, { changes, open, now, version: clock.version });
    version = await resolveGone(tx, { open, subjects, now, version });
    await fillOutbox(tx, { subjectIds: evaluated.ids, now });
    await tx.updateTable('alert_clock').set({ version, evaluated_at: now }).execute();
    return {
      fired: changes.filter(({ event }) => event === 'fired').length,
      resolved: changes.filter(({ event }) => event === 'resolved').length,
    };
  });
}

async function lockClock(tx: DatabaseTransaction): Promise<{ readonly version: number; readonly now: Date }> {
  const { version } = await tx.selectFrom('alert_clock').select('version').forUpdate().executeTakeFirstOrThrow();
  // Not `now()`, which is when the transaction began: before it waited for the one ahead of it.
  const { now } = await tx
    .selectNoFrom((eb) => eb.fn<Date>('date_trunc', [eb.val('milliseconds'), eb.fn('clock_timestamp')]).as('now'))
    .executeTakeFirstOrThrow();
  return { version, now };
}

async function readOpen(tx: DatabaseTransaction, { kind, ids }: Evaluated): Promise<OpenAlert[]> {
  const rows = await tx
    .selectFrom('alerts')
    .selectAll()
    .where('state', '<>', 'resolved')
    .where(kind === 'nodes' ? 'node_id' : 'deployment_id', 'is not', null)
    .where(isOneOfTexts('subject', ids))
    .execute();
  return rows.map((row) => ({ ...row, before: toState(row) }));
}

type StoredAlert = Omit<OpenAlert, 'before'>;

function toState(row: StoredAlert): AlertState {
  const [sinceMs, value] = [row.pending_at.getTime(), row.value];
  if (row.fired_at === null) return { kind: 'pending', sinceMs, value };
  return {
    ...{ kind: 'firing', sinceMs, value, firedMs: row.fired_at.getTime() },
    clearSinceMs: row.clear_since?.getTime() ?? null,
    noDataSinceMs: row.no_data_since?.getTime() ?? null,
  };
}

function statesOf(open: readonly OpenAlert[], { id }: Subject): Partial<Record<AlertRuleName, AlertState>> {
  const own = open.filter(({ subject }) => subject === id);
  return Object.fromEntries(own.map(({ rule, before }) => [rule, before]));
}

async function readOverrides(
  tx: DatabaseTransaction,
  ids: readonly string[],
): Promise<ReadonlyMap<string, Partial<Record<AlertRuleName, RuleOverride>>>> {
  const rows = await tx.selectFrom('alert_rules').selectAll().where(isOneOf('deployment_id', ids)).execute();
  const byDeployment = new Map<string, Partial<Record<AlertRuleName, RuleOverride>>>();
  for (const row of rows) {
    const override = { isEnabled: row.enabled, fireAt: row.fire_at, clearAt: row.clear_at, forMs: row.for_ms };
    const name = parseRule('rule', row.rule).name;
    byDeployment.set(row.deployment_id, { ...byDeployment.get(row.deployment_id), [name]: override });
  }
  return byDeployment;
}
