import { sql } from 'kysely';
import type { Alerts } from '../../../activities/evaluate-alerts.ts';
import type { AlertCursor } from '../../../contracts/alerts.ts';
import type { Database } from '../database.ts';
import { type Evaluated, type EvaluationCounts, evaluateSubjects } from './evaluate.ts';

/** Subjects that one transaction evaluates: what it holds the clock's row for is some ten milliseconds. */
const SUBJECTS_AT_ONCE = 200;

/** Alerts and notifications are kept so long after their end. */
const KEPT_DAYS = 90;

/** Rows that one evaluation clears away at most. */
const CLEARED_AT_ONCE = 1_000;

/** Creates the evaluator. */
export function createAlertEvaluator(db: Database): Alerts {
  const evaluate = async (evaluated: Evaluated): Promise<EvaluationCounts> =>
    evaluated.ids.length === 0 ? { fired: 0, resolved: 0 } : await evaluateSubjects(db, evaluated);
  return {
    listSubjects: ({ kind, afterId }) => listSubjects(db, kind, afterId),
    evaluateDeployments: (ids, usage) => evaluate({ kind: 'deployments', ids, usage }),
    evaluateNodes: (ids) => evaluate({ kind: 'nodes', ids }),
    clearOld: async () => {
      await sql`DELETE FROM alerts WHERE id IN (
        SELECT id FROM alerts WHERE state = 'resolved' AND resolved_at < now() - make_interval(days => ${KEPT_DAYS})
        LIMIT ${CLEARED_AT_ONCE})`.execute(db);
      await sql`DELETE FROM notifications WHERE id IN (
        SELECT id FROM notifications WHERE kind = 'test' AND finished_at < now() - interval '1 day'
        LIMIT ${CLEARED_AT_ONCE})`.execute(db);
      await sql`DELETE FROM silences WHERE id IN (
        SELECT id FROM silences WHERE until < now() - interval '1 day' LIMIT ${CLEARED_AT_ONCE})`.execute(db);
      await sql`DELETE FROM certificate_observations WHERE hostname IN (
        SELECT hostname FROM certificate_observations o
        WHERE NOT EXISTS (SELECT FROM routes WHERE routes.hostname = o.hostname)
        LIMIT ${CLEARED_AT_ONCE})`.execute(db);
    },
  };
}

/** Ids are compared as texts: those of open alerts are kept as such. */
async function listSubjects(
  db: Database,
  kind: AlertCursor['kind'],
  afterId: string,
): Promise<Awaited<ReturnType<Alerts['listSubjects']>>> {
  const isNodes = kind === 'nodes';
  const table = sql.table(kind);
  const column = sql.ref(isNodes ? 'node_id' : 'deployment_id');
  const { rows } = await sql<{ id: string }>`
    SELECT id::text COLLATE "C" AS id FROM ${table} WHERE id::text COLLATE "C" > ${afterId}
    UNION
    SELECT subject COLLATE "C" FROM alerts
    WHERE state <> 'resolved' AND ${column} IS NOT NULL AND subject COLLATE "C" > ${afterId}
    ORDER BY id LIMIT ${SUBJECTS_AT_ONCE}`.execute(db);
  const ids = rows.map(({ id }) => id);
  const last = ids.length < SUBJECTS_AT_ONCE ? undefined : ids.at(-1);
  const isOver: AlertCursor | null = isNodes ? null : { kind: 'nodes', afterId: '' };
  return { kind, ids, next: last === undefined ? isOver : { kind, afterId: last } };
}
