import { volumeNames } from '../../domain/volumes.ts';
import type { Database } from './database.ts';

/** Deployments that one attempt asks to heal; those beyond are asked by the next one, before any that were asked. */
const MOST_HEALED = 200;

/**
 * Lists ids of deployments that have replicas on a node and can do without it.
 *
 * None while no other node takes replicas. One with a volume has to wait for its node, which has the data. One that is
 * being healed already is left out.
 */
export async function listHealable(db: Database, nodeId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('deployments')
    .innerJoin('revisions', (join) =>
      join
        .onRef('revisions.deployment_id', '=', 'deployments.id')
        .onRef('revisions.number', '=', 'deployments.current_revision'),
    )
    .select(['deployments.id', 'revisions.spec'])
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom('nodes')
          .select('nodes.id')
          .where('nodes.id', '<>', nodeId)
          .where('nodes.state', '=', 'ready')
          .where('nodes.cordoned', '=', false),
      ),
    )
    .where('deployments.deleting', '=', false)
    .where('deployments.stopped', '=', false)
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom('replicas')
          .select('replicas.replica_id')
          .whereRef('replicas.deployment_id', '=', 'deployments.id')
          .where('replicas.node_id', '=', nodeId)
          .where('replicas.serving', '=', true),
      ),
    )
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('operations')
            .select('operations.id')
            .whereRef('operations.deployment_id', '=', 'deployments.id')
            .where('operations.kind', '=', 'heal')
            .where('operations.finished_at', 'is', null),
        ),
      ),
    )
    .orderBy(
      (eb) =>
        eb
          .selectFrom('operations')
          .select((of) => of.fn.max('operations.sequence').as('last'))
          .whereRef('operations.deployment_id', '=', 'deployments.id')
          .where('operations.kind', '=', 'heal'),
      (order) => order.asc().nullsFirst(),
    )
    .orderBy('deployments.id')
    .execute();
  return rows.flatMap(({ id, spec }) => (volumeNames(spec).length > 0 ? [] : [id])).slice(0, MOST_HEALED);
}
