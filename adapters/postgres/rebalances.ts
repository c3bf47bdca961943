import { sql } from 'kysely';
import type { RebalanceActivities } from '../../contracts/rebalance.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { isOneOf } from './page.ts';
import type { RebalanceState } from './schema-nodes.ts';

/** Rebalances that are remembered. */
const KEPT = 100;

/** A plan that is or was carried out, as it stands. */
export interface RebalanceRecord {
  readonly id: string;
  readonly state: RebalanceState;
  readonly actorUserId: string;
  /** Moves of the plan. */
  readonly planned: number;
  /** Moves that have ended, however they did. */
  readonly ended: number;
  /** Moves that reached their goal; 0 before the end. */
  readonly moved: number;
  readonly createdAt: Date;
  readonly finishedAt: Date | null;
}

/** Creates what the workflow of a rebalance records by. Each is one transaction, and running it again changes nothing. */
export function createRebalanceRecords(db: Database): RebalanceActivities {
  return {
    beginRebalance: ({ rebalanceId: id, actorUserId, planned }) =>
      db.transaction().execute(async (tx) => {
        const known = await tx.selectFrom('rebalances').select('id').where('id', '=', id).executeTakeFirst();
        if (known) return;
        await tx
          .updateTable('rebalances')
          .set(ENDED)
          .set({ state: 'stopped' })
          .where('state', '=', 'running')
          .execute();
        await tx
          .insertInto('rebalances')
          .values({ id, state: 'running', actor_user_id: actorUserId, planned })
          .execute();
        await forgetOldest(tx);
      }),
    recordEnded: async ({ rebalanceId, ended }) => {
      await db.updateTable('rebalances').set({ ended }).where('id', '=', rebalanceId).execute();
    },
    endRebalance: async ({ rebalanceId, state, operationIds }) => {
      await db
        .updateTable('rebalances')
        .set(ENDED)
        .set((eb) => ({
          state,
          ended: operationIds.length,
          moved: eb
            .selectFrom('operations')
            .select((of) => of.fn.countAll<number>().as('moved'))
            .where(isOneOf('operations.id', operationIds))
            .where('operations.state', '=', 'succeeded')
            .$asScalar()
            .$notNull(),
        }))
        .where('id', '=', rebalanceId)
        .where('state', '=', 'running')
        .execute();
    },
  };
}

const ENDED = { finished_at: sql<Date>`now()` };

async function forgetOldest(tx: DatabaseTransaction): Promise<void> {
  const newest = tx.selectFrom('rebalances').select('id').orderBy('sequence', 'desc').limit(KEPT);
  await tx.deleteFrom('rebalances').where('id', 'not in', newest).execute();
}

/** Finds the newest rebalance. */
export async function findRebalance(db: Database): Promise<RebalanceRecord | undefined> {
  return await db
    .selectFrom('rebalances')
    .select(['id', 'state', 'actor_user_id as actorUserId', 'planned', 'ended', 'moved'])
    .select(['created_at as createdAt', 'finished_at as finishedAt'])
    .orderBy('sequence', 'desc')
    .limit(1)
    .executeTakeFirst();
}
