import { sql } from 'kysely';
import { volumeNames } from '../../domain/volumes.ts';
import type { Database } from './database.ts';
import { mayBeginEmpty } from './left-volumes.ts';

/** Deployments that one attempt asks; those beyond are asked by the next one, before any that were asked. */
const MOST_ASKED = 200;

/**
 * Lists ids of deployments that have replicas on a node and can do without it.
 *
 * None while no other node takes replicas. One with a volume stays with its node, which has the data, unless that goes
 * along, or the node is lost and its policy says that it begins elsewhere. One that is being healed already is left out.
 */
export async function listLeaving(
  db: Database,
  of: { readonly nodeId: string; readonly kind: 'heal' | 'move'; readonly withVolumes?: boolean | undefined },
): Promise<string[]> {
  const { nodeId, kind, withVolumes = false } = of;
  const rows = await db
    .selectFrom('deployments')
    .innerJoin('revisions', (join) =>
      join
        .onRef('revisions.deployment_id', '=', 'deployments.id')
        // Nothing has come up yet while its first rollout is under way.
        .on('revisions.number', '=', sql<number>`coalesce(nullif(current_revision, 0), revision)`),
    )
    .select(['deployments.id', 'deployments.name', 'project_id as projectId', 'revisions.spec'])
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
          .$if(kind === 'heal', (query) => query.where('replicas.serving', '=', true)),
      ),
    )
    .$if(kind === 'heal', (query) =>
      query.where((eb) =>
        eb.not(
          eb.exists(
            eb
              .selectFrom('operations')
              .select('operations.id')
              .whereRef('operations.deployment_id', '=', 'deployments.id')
              .where('operations.kind', '=', kind)
              .where('operations.finished_at', 'is', null),
          ),
        ),
      ),
    )
    .orderBy(
      (eb) =>
        eb
          .selectFrom('operations')
          .select((of) => of.fn.max('operations.sequence').as('last'))
          .whereRef('operations.deployment_id', '=', 'deployments.id')
          .where('operations.kind', '=', kind),
      (order) => order.asc().nullsFirst(),
    )
    .orderBy('deployments.id')
    .execute();
  const leaving: string[] = [];
  for (const { id, spec, ...owner } of rows) {
    if (leaving.length === MOST_ASKED) break;
    const isFree = volumeNames(spec).length === 0 || withVolumes;
    if (isFree || (kind === 'heal' && (await mayBeginEmpty(db, owner, { spec, nodeId })))) leaving.push(id);
  }
  return leaving;
}
