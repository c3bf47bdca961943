import { sql } from 'kysely';
import type { DrainActivities } from '../../contracts/drain.ts';
import { notFound } from '../../domain/errors.ts';
import { volumeNames } from '../../domain/volumes.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { listLeaving } from './healing.ts';
import type { DrainState } from './schema-nodes.ts';

/** The emptying of a node, as it stands. */
export interface DrainRecord {
  readonly id: string;
  readonly nodeId: string;
  readonly state: DrainState;
  /** Deployments that have left. */
  readonly moved: number;
  readonly actorUserId: string;
  readonly reason: string;
  /** Whether what has volumes is moved with them. */
  readonly withVolumes: boolean;
  readonly createdAt: Date;
  readonly finishedAt: Date | null;
}

/** A deployment that has replicas on a node. */
export interface OnNode {
  readonly deploymentId: string;
  readonly name: string;
  readonly replicas: number;
  /** Whether its data keeps it there. */
  readonly isBound: boolean;
  /** What the newest attempt to move it failed of; empty where it did not. */
  readonly failure: string;
}

/** Creates what the workflow of a drain records by. Each is one transaction, and running it again changes nothing. */
export function createDrainRecords(db: Database): DrainActivities {
  return {
    beginDrain: ({ nodeId, drainId, actorUserId, reason, withVolumes = false }) =>
      db.transaction().execute(async (tx) => {
        await cordon(tx, nodeId);
        const known = await findDrain(tx, nodeId);
        if (known?.id === drainId) return { open: known.state === 'running' };
        const row = {
          id: drainId,
          state: 'running',
          actor_user_id: actorUserId,
          reason,
          with_volumes: withVolumes,
        } as const;
        const begun = { ...row, created_at: sql<Date>`now()`, finished_at: null };
        await tx
          .insertInto('node_drains')
          .values({ node_id: nodeId, ...begun })
          .onConflict((conflict) => conflict.column('node_id').doUpdateSet(begun))
          .execute();
        return { open: true };
      }),
    listMovable: ({ nodeId, withVolumes }) => listLeaving(db, { nodeId, kind: 'move', withVolumes }),
    touchDrain: async (drain) => {
      await ofDrain(db, drain).set({ changed_at: sql<Date>`now()` }).execute();
    },
    endDrain: async ({ nodeId, drainId, state }) => {
      await ofDrain(db, { nodeId, drainId })
        .set({ state, finished_at: sql<Date>`now()` })
        .where('state', '=', 'running')
        .execute();
    },
  };
}

function ofDrain(db: Database, { nodeId, drainId }: { readonly nodeId: string; readonly drainId: string }) {
  return db.updateTable('node_drains').where('node_id', '=', nodeId).where('id', '=', drainId);
}

async function cordon(tx: DatabaseTransaction, nodeId: string): Promise<void> {
  const node = await tx
    .updateTable('nodes')
    .set({ cordoned: true })
    .where('id', '=', nodeId)
    .returning('id')
    .executeTakeFirst();
  if (!node) throw notFound('node');
}

/** Finds the newest drain of a node. */
export async function findDrain(db: Database, nodeId: string): Promise<DrainRecord | undefined> {
  return await db
    .selectFrom('node_drains')
    .select(['id', 'node_id as nodeId', 'state', 'actor_user_id as actorUserId', 'reason'])
    .select('with_volumes as withVolumes')
    .select((eb) =>
      eb
        .selectFrom('operations')
        .select((of) => of.fn.count<number>('operations.deployment_id').distinct().as('moved'))
        .whereRef('operations.move_from', '=', 'node_drains.node_id')
        .whereRef('operations.created_at', '>=', 'node_drains.created_at')
        .where('operations.state', '=', 'succeeded')
        .$asScalar()
        .$notNull()
        .as('moved'),
    )
    .select(['created_at as createdAt', 'finished_at as finishedAt'])
    .where('node_id', '=', nodeId)
    .executeTakeFirst();
}

/** Lists what has replicas on a node, by name. */
export async function listOnNode(
  db: Database,
  { nodeId, limit }: { readonly nodeId: string; readonly limit: number },
): Promise<OnNode[]> {
  const rows = await db
    .selectFrom('deployments')
    .innerJoin('replicas', 'replicas.deployment_id', 'deployments.id')
    .leftJoin('revisions', (join) =>
      join
        .onRef('revisions.deployment_id', '=', 'deployments.id')
        .onRef('revisions.number', '=', 'deployments.current_revision'),
    )
    .leftJoinLateral(
      (eb) =>
        eb
          .selectFrom('operations')
          .select('operations.error_message as message')
          .whereRef('operations.deployment_id', '=', 'deployments.id')
          .where('operations.kind', '=', 'move')
          .orderBy('operations.sequence', 'desc')
          .limit(1)
          .as('attempt'),
      (join) => join.onTrue(),
    )
    .select(['deployments.id as deploymentId', 'deployments.name', 'revisions.spec', 'attempt.message'])
    .select((eb) => eb.fn.count<number>('replicas.replica_id').as('replicas'))
    .where('replicas.node_id', '=', nodeId)
    .groupBy(['deployments.id', 'deployments.name', 'revisions.spec', 'attempt.message'])
    .orderBy('deployments.name')
    .orderBy('deployments.id')
    .limit(limit)
    .execute();
  return rows.map(({ spec, message, ...row }) => ({
    ...row,
    isBound: spec !== null && volumeNames(spec).length > 0,
    failure: message ?? '',
  }));
}
