import { type RawBuilder, sql } from 'kysely';
import { RETENTION_KINDS } from '../../../contracts/retention.ts';
import { isOpen, OPEN_STATES } from '../../../domain/operation.ts';
import { isWithinBounds, mayForgetEvent, mayForgetOperation } from '../../../domain/retention/history.ts';
import type { DatabaseTransaction } from '../database.ts';
import { isOneOf } from '../page.ts';
import type { Count, Pass } from './pass.ts';

/** Rows that one transaction looks at. */
const BATCH = 1_000;

/** Whose history, and what of it stays with the revisions. */
export interface History {
  readonly deploymentId: string;
  /** Whether the deployment still exists. */
  readonly exists: boolean;
  /** Operations that made a revision which stays. */
  readonly keptOperations: ReadonlySet<string>;
}

/** A row of history, oldest first. */
interface Aged {
  readonly sequence: number;
  readonly ageMs: number;
  readonly bytes: number;
}

/** Forgets events and then operations of a deployment that are beyond the bounds; also of one that is deleted. */
export async function pruneHistory(pass: Pass, history: History): Promise<void> {
  await pruneEvents(pass, history);
  await pruneOperations(pass, history);
}

async function pruneEvents(pass: Pass, { deploymentId }: History): Promise<void> {
  const { policy } = pass;
  await oldestFirst(pass, policy.events, {
    countAll: async (tx) => await countRows(tx, 'deployment_events', deploymentId),
    read: (tx, after) => selectEvents(tx, deploymentId, after).execute(),
    mayForget: ({ isOfOpenOperation }, age) => mayForgetEvent({ ...age, isOfOpenOperation }, policy),
    forget: async (tx, rows) => {
      const sequences = rows.map(({ sequence }) => sequence);
      const isOne = sql<boolean>`sequence = ANY(${sequences}::bigint[])`;
      if (rows.length > 0) await tx.deleteFrom('deployment_events').where(isOne).execute();
    },
    kind: RETENTION_KINDS.events,
  });
}

async function pruneOperations(pass: Pass, { deploymentId, exists, keptOperations }: History): Promise<void> {
  const { policy } = pass;
  await oldestFirst(pass, policy.operations, {
    countAll: async (tx) => await countRows(tx, 'operations', deploymentId),
    read: (tx, after) => selectOperations(tx, deploymentId, after).execute(),
    mayForget: ({ id, state }, age) =>
      mayForgetOperation(
        { ...age, isOpen: isOpen(state), madeKeptRevision: keptOperations.has(id) },
        { exists },
        policy,
      ),
    forget: async (tx, rows) => {
      const ids = rows.map(({ id }) => id);
      if (ids.length > 0) await tx.deleteFrom('operations').where(isOneOf('id', ids)).execute();
    },
    kind: RETENTION_KINDS.operations,
  });
}

function selectEvents(tx: DatabaseTransaction, deploymentId: string, after: number) {
  return tx
    .selectFrom('deployment_events')
    .select(['sequence', ageMs(sql.ref('at')).as('ageMs'), rowBytes('deployment_events').as('bytes')])
    .select((eb) =>
      eb
        .exists(
          eb
            .selectFrom('operations')
            .select('operations.id')
            .whereRef('operations.id', '=', 'deployment_events.operation_id')
            .where('operations.state', 'in', OPEN_STATES),
        )
        .$castTo<boolean>()
        .as('isOfOpenOperation'),
    )
    .where('deployment_id', '=', deploymentId)
    .where('sequence', '>', after)
    .orderBy('sequence')
    .limit(BATCH);
}

function selectOperations(tx: DatabaseTransaction, deploymentId: string, after: number) {
  return tx
    .selectFrom('operations')
    .select(['sequence', 'id', 'state', rowBytes('operations').as('bytes')])
    .select(ageMs(sql`coalesce(finished_at, created_at)`).as('ageMs'))
    .where('deployment_id', '=', deploymentId)
    .where('sequence', '>', after)
    .orderBy('sequence')
    .limit(BATCH);
}

interface Walk<Row extends Aged> {
  countAll(tx: DatabaseTransaction): Promise<number>;
  read(tx: DatabaseTransaction, after: number): Promise<Row[]>;
  mayForget(row: Row, age: { newer: number; ageMs: number }): boolean;
  forget(tx: DatabaseTransaction, rows: readonly Row[]): Promise<void>;
  readonly kind: string;
}

/** Goes through rows from the oldest on, a batch a step, until it comes to one which is within the bounds. */
async function oldestFirst<Row extends Aged>(pass: Pass, most: number, walk: Walk<Row>): Promise<void> {
  let after = 0;
  let left: number | undefined;
  for (let isDone = false; !isDone; ) {
    isDone = await pass.step(async (tx, count) => {
      const known = left ?? (await walk.countAll(tx));
      const rows = await walk.read(tx, after);
      const aged = rows.map((row, index) => ({ row, age: { newer: known - 1 - index, ageMs: row.ageMs } }));
      const goes = aged.filter(({ row, age }) => walk.mayForget(row, age)).map(({ row }) => row);
      countRemoved(count, walk.kind, goes);
      if (!pass.isDryRun) await walk.forget(tx, goes);
      left = known - rows.length;
      after = rows.at(-1)?.sequence ?? after;
      return rows.length < BATCH || aged.some(({ age }) => isWithinBounds(age, most, pass.policy));
    });
  }
}

function countRemoved(count: Count, kind: string, rows: readonly Aged[]): void {
  count(kind, { count: rows.length, bytes: rows.reduce((sum, { bytes }) => sum + bytes, 0) });
}

function ageMs(moment: RawBuilder<unknown>) {
  return sql<number>`(extract(epoch FROM now() - ${moment}) * 1000)::float8`;
}

function rowBytes(table: string) {
  return sql<number>`pg_column_size(${sql.table(table)}.*)`;
}

async function countRows(
  tx: DatabaseTransaction,
  table: 'operations' | 'deployment_events',
  deploymentId: string,
): Promise<number> {
  const { count } = await tx
    .selectFrom(table)
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('deployment_id', '=', deploymentId)
    .executeTakeFirstOrThrow();
  return count;
}
