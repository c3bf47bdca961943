import { sql } from 'kysely';
import type { RecordRetentionInput, RetentionItem, RetentionRequest } from '../../../contracts/retention.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import { toStorableText } from '../events.ts';
import type { RetentionState } from './schema.ts';

/** Reports that are kept: a month of nights, and as many of single nodes. */
const KEPT_RUNS = 30;

const MAX_ERROR_LENGTH = 8192;
const MAX_REASON_LENGTH = 500;

/** A run as it stands. */
export interface RetentionRunRecord {
  readonly id: string;
  readonly isDryRun: boolean;
  /** `null` when it was the schedule. */
  readonly actorUserId: string | null;
  /** The one node that was looked at; empty for everything. */
  readonly nodeId: string;
  readonly state: RetentionState;
  /** Empty unless it failed. */
  readonly errorMessage: string;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
}

/**
 * Stores that a run began; a repeated call finds it. The oldest reports go.
 *
 * There is one run of its kind and node at a time, so another that counts as running was ended from outside.
 *
 * @returns whether the run had ended before.
 */
export async function beginRun(
  db: Database,
  { runId, isDryRun, actorUserId, onlyNodeId = '' }: RetentionRequest,
): Promise<boolean> {
  return await db.transaction().execute(async (tx) => {
    await tx
      .insertInto('retention_runs')
      .values({ id: runId, dry_run: isDryRun, actor_user_id: actorUserId, node_id: onlyNodeId, state: 'running' })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    const { state } = await tx
      .selectFrom('retention_runs')
      .select('state')
      .where('id', '=', runId)
      .executeTakeFirstOrThrow();
    if (state !== 'running') return true;
    await tx
      .updateTable('retention_runs')
      .set({ state: 'failed', error_message: 'it was ended from outside', finished_at: sql<Date>`now()` })
      .where('dry_run', '=', isDryRun)
      .where('node_id', '=', onlyNodeId)
      .where('state', '=', 'running')
      .where('id', '<>', runId)
      .execute();
    const isOfItsKind = onlyNodeId === '' ? '=' : '<>';
    const kept = tx
      .selectFrom('retention_runs')
      .select('id')
      .where('node_id', isOfItsKind, '')
      .orderBy('started_at', 'desc')
      .limit(KEPT_RUNS);
    await tx.deleteFrom('retention_runs').where('node_id', isOfItsKind, '').where('id', 'not in', kept).execute();
    return false;
  });
}

/** Stores that a run ended; with an error, why it did not come to its end. */
export async function finishRun(
  db: Database,
  { runId, error }: { readonly runId: string; readonly error: string },
): Promise<void> {
  const message = toStorableText(error, MAX_ERROR_LENGTH);
  await db
    .updateTable('retention_runs')
    .set({ state: message === '' ? 'succeeded' : 'failed', error_message: message, finished_at: sql<Date>`now()` })
    .where('id', '=', runId)
    .where('state', '=', 'running')
    .execute();
}

/** Adds to a run's report, in the transaction that does what is reported. */
export async function addItems(tx: DatabaseTransaction, runId: string, items: readonly RetentionItem[]): Promise<void> {
  const rows = toRows(runId, items);
  if (rows.length === 0) return;
  await tx
    .insertInto('retention_items')
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(['run_id', 'kind', 'node_id', 'reason']).doUpdateSet((eb) => ({
        count: eb('retention_items.count', '+', eb.ref('excluded.count')),
        bytes: eb('retention_items.bytes', '+', eb.ref('excluded.bytes')),
      })),
    )
    .execute();
}

/** Sets what a run found of one kind at one place: said twice, it counts once. */
export async function setItems(db: Database, { runId, kind, nodeId, items }: RecordRetentionInput): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await tx
      .deleteFrom('retention_items')
      .where('run_id', '=', runId)
      .where('kind', '=', kind)
      .where('node_id', '=', nodeId)
      .execute();
    await addItems(
      tx,
      runId,
      items.map((item) => ({ ...item, kind, nodeId })),
    );
  });
}

/** Equal lines become one: a statement may touch a row once only. */
function toRows(runId: string, items: readonly RetentionItem[]) {
  const present = items
    .filter(({ count }) => count > 0)
    .map(({ reason, ...item }) => ({ ...item, reason: toStorableText(reason, MAX_REASON_LENGTH) }));
  const groups = Map.groupBy(present, ({ kind, nodeId, reason }) => JSON.stringify([kind, nodeId, reason]));
  return [...groups.values()].map((group) => ({
    run_id: runId,
    kind: group[0]?.kind ?? '',
    node_id: group[0]?.nodeId ?? '',
    reason: group[0]?.reason ?? '',
    count: group.reduce((sum, { count }) => sum + count, 0),
    bytes: group.some(({ bytes }) => bytes === null) ? null : group.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0),
  }));
}

/** Finds a run. */
export async function findRun(db: Database, runId: string): Promise<RetentionRunRecord | undefined> {
  return await selectRuns(db).where('id', '=', runId).executeTakeFirst();
}

/** Lists the runs that are kept, newest first. */
export async function listRuns(db: Database): Promise<RetentionRunRecord[]> {
  return await selectRuns(db)
    .orderBy('started_at', 'desc')
    .orderBy('id')
    .limit(2 * KEPT_RUNS)
    .execute();
}

function selectRuns(db: Database) {
  return db
    .selectFrom('retention_runs')
    .select([
      'id',
      'dry_run as isDryRun',
      'actor_user_id as actorUserId',
      'node_id as nodeId',
      'state',
      'error_message as errorMessage',
    ])
    .select(['started_at as startedAt', 'finished_at as finishedAt']);
}

/** Lists the report of a run, by place and kind, what was removed before what stays. */
export async function listItems(db: Database, runId: string, limit: number): Promise<RetentionItem[]> {
  return await db
    .selectFrom('retention_items')
    .select(['kind', 'node_id as nodeId', 'reason', 'count', 'bytes'])
    .where('run_id', '=', runId)
    .orderBy('node_id')
    .orderBy('kind')
    .orderBy('reason')
    .limit(limit)
    .execute();
}
