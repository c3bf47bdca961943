import type { OrphanRecord, OrphanStore } from '../../../contracts/orphans.ts';
import type { Database } from '../database.ts';
import { toStorableText } from '../events.ts';

const MAX_REASON_LENGTH = 500;
const MAX_NAME_LENGTH = 255;

/** Decisions that one answer holds: newest runs have few, and a node at most two hundred. */
const LISTED = 1_000;

/** Stores decisions of a run about single things; said again, what became of one replaces the decision. */
export async function recordOrphans(
  db: Database,
  { runId, orphans }: Parameters<OrphanStore['recordOrphans']>[0],
): Promise<void> {
  if (orphans.length === 0) return;
  await db
    .insertInto('retention_orphans')
    .values(
      orphans.map(({ nodeId, kind, id, name, outcome, reason }) => ({
        ...{ run_id: runId, node_id: nodeId, kind, object_id: id, outcome },
        name: toStorableText(name, MAX_NAME_LENGTH),
        reason: toStorableText(reason, MAX_REASON_LENGTH),
      })),
    )
    .onConflict((conflict) =>
      conflict.columns(['run_id', 'node_id', 'object_id']).doUpdateSet((eb) => ({
        outcome: eb.ref('excluded.outcome'),
        reason: eb.ref('excluded.reason'),
      })),
    )
    .execute();
}

/** Lists the decisions of a run, by node and id; the first thousand. */
export async function listOrphans(db: Database, runId: string): Promise<OrphanRecord[]> {
  return await db
    .selectFrom('retention_orphans')
    .select(['node_id as nodeId', 'kind', 'object_id as id', 'name', 'outcome', 'reason'])
    .where('run_id', '=', runId)
    .orderBy('node_id')
    .orderBy('object_id')
    .limit(LISTED)
    .execute();
}
