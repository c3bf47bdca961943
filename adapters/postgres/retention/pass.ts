import { sql } from 'kysely';
import type { RetentionItem, RetentionScope } from '../../../contracts/retention.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import { addItems } from './runs.ts';

/** One page of a way through the database, with what it has in common. */
export interface Pass extends RetentionScope {
  readonly db: Database;
  /**
   * Runs one short step: of a run in a transaction that may change things, of a dry run in a snapshot that may not.
   * What the step counts is stored together with what it does.
   */
  step<Answer>(work: (tx: DatabaseTransaction, count: Count) => Promise<Answer>): Promise<Answer>;
  /** What a dry run has counted; a run has stored it already. */
  readonly counted: RetentionItem[];
}

/** Reports rows that are removed, or stay for a reason. */
export type Count = (kind: string, rows: Measure & { readonly reason?: string }) => void;

/** How many rows, and how many bytes PostgreSQL has for them. */
export interface Measure {
  readonly count: number;
  readonly bytes: number | null;
}

/** Creates the pass of one page. `onProgress` is called before each step, and may throw to end it. */
export function createPass(db: Database, scope: RetentionScope, onProgress: () => void): Pass {
  const counted: RetentionItem[] = [];
  return {
    ...scope,
    db,
    counted,
    step: async (work) => {
      onProgress();
      const items: RetentionItem[] = [];
      const count: Count = (kind, { reason = '', ...measure }) => items.push({ kind, nodeId: '', reason, ...measure });
      if (scope.isDryRun) {
        const snapshot = db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only');
        const answer = await snapshot.execute((tx) => work(tx, count));
        counted.push(...items);
        return answer;
      }
      return await db.transaction().execute(async (tx) => {
        const answer = await work(tx, count);
        await addItems(tx, scope.runId, items);
        return answer;
      });
    },
  };
}

/** Columns that measure the rows of a table. */
export function measureOf(table: string) {
  return [
    sql<number>`count(*)`.as('count'),
    sql<number>`coalesce(sum(pg_column_size(${sql.table(table)}.*)), 0)::bigint`.as('bytes'),
  ] as const;
}

/** Rows of several tables as one. */
export function addMeasures(...measures: readonly Measure[]): Measure {
  return {
    count: measures.reduce((sum, { count }) => sum + count, 0),
    bytes: measures.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0),
  };
}
