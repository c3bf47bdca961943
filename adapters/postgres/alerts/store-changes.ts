import { randomUUID } from 'node:crypto';
import type { Selectable } from 'kysely';
import type { AlertState } from '../../../domain/alerts/alert-state.ts';
import type { AlertChange } from '../../../domain/alerts/subject.ts';
import type { DatabaseTransaction } from '../database.ts';
import type { AlertTables } from '../schema-alerts.ts';

/** A row of an alert that has not ended, and the state that it holds. */
export type OpenAlert = Selectable<AlertTables['alerts']> & { readonly before: AlertState };

/** What is stored, from where on transitions are numbered. */
interface Storing {
  readonly changes: readonly AlertChange[];
  readonly open: readonly OpenAlert[];
  readonly now: Date;
  readonly version: number;
}

/** Stores changes of alerts. @returns the number of the last transition. */
export async function storeChanges(tx: DatabaseTransaction, { changes, open, now, version }: Storing): Promise<number> {
  let newest = version;
  for (const change of changes) {
    const row = open.find(({ rule, subject }) => rule === change.rule.name && subject === change.subject.id);
    if (change.event !== null) newest += 1;
    if (change.after.kind === 'inactive') await end(tx, change, { row, now, version: newest });
    else if (row) await carryOn(tx, change, { row, version: newest });
    else await begin(tx, change, newest);
  }
  return newest;
}

interface Place {
  readonly row: OpenAlert | undefined;
  readonly now: Date;
  readonly version: number;
}

async function end(tx: DatabaseTransaction, change: AlertChange, { row, now, version }: Place): Promise<void> {
  if (!row) return;
  if (row.state === 'pending') {
    await tx.deleteFrom('alerts').where('id', '=', row.id).execute();
    return;
  }
  const reading = change.subject.readings[change.rule.name];
  await tx
    .updateTable('alerts')
    .set({ state: 'resolved', resolved_at: now, resolution: change.isOff ? 'off' : 'cleared', version })
    .set(reading?.kind === 'value' ? { value: reading.value } : {})
    .where('id', '=', row.id)
    .execute();
}

async function begin(tx: DatabaseTransaction, change: AlertChange, version: number): Promise<void> {
  const { subject, rule } = change;
  const isNode = subject.kind === 'node';
  await tx
    .insertInto('alerts')
    .values({
      id: randomUUID(),
      organization_id: subject.organizationId,
      rule: rule.name,
      subject: subject.id,
      deployment_id: isNode ? null : subject.id,
      deployment_name: isNode ? '' : subject.name,
      node_id: isNode ? subject.id : null,
      severity: rule.severity,
      ...columnsOf(change),
      ...(change.event === null ? {} : { version }),
    })
    .execute();
}

/** Writes nothing when nothing has changed: most evaluations of most firing alerts. */
async function carryOn(
  tx: DatabaseTransaction,
  change: AlertChange,
  { row, version }: { readonly row: OpenAlert; readonly version: number },
): Promise<void> {
  const columns = columnsOf(change);
  if (JSON.stringify(row.before) === JSON.stringify(change.after) && columns.detail === row.detail) return;
  await tx
    .updateTable('alerts')
    .set({ ...columns, ...(change.event === null ? {} : { version }) })
    .where('id', '=', row.id)
    .execute();
}

function columnsOf({ after, subject, rule }: AlertChange) {
  if (after.kind === 'inactive') throw new Error('an alert that ends has no columns of an open one');
  const isFiring = after.kind === 'firing';
  return {
    state: after.kind,
    value: after.value,
    detail: subject.details[rule.name] ?? '',
    pending_at: new Date(after.sinceMs),
    fired_at: isFiring ? new Date(after.firedMs) : null,
    clear_since: isFiring ? toDate(after.clearSinceMs) : null,
    no_data_since: isFiring ? toDate(after.noDataSinceMs) : null,
  };
}

function toDate(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}
