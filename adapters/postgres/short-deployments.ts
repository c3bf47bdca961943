import { sql } from 'kysely';
import { OPEN_STATES } from '../../domain/operation.ts';
import type { Database } from './database.ts';

/** Deployments that one reconciliation asks; those beyond are asked by the next ones. */
const MOST_ASKED = 100;

/** Pause before a deployment that could not be healed is asked again. */
export const ASK_AGAIN = sql<Date>`now() - interval '5 minutes'`;

/**
 * Lists ids of deployments that have fewer replicas than are wanted, while nobody does anything about it: an operation
 * failed, and on its way back there was no place for what had been there.
 */
export async function listShort(db: Database): Promise<string[]> {
  const rows = await db
    .selectFrom('deployments')
    .select('deployments.id')
    .where('deployments.deleting', '=', false)
    .where('deployments.stopped', '=', false)
    .where(
      (eb) =>
        eb
          .selectFrom('deployment_services')
          .select((of) => of.fn.sum<number>('deployment_services.replicas').as('wanted'))
          .whereRef('deployment_services.deployment_id', '=', 'deployments.id'),
      '>',
      (eb) =>
        eb
          .selectFrom('replicas')
          .select((of) => of.fn.countAll<number>().as('there'))
          .whereRef('replicas.deployment_id', '=', 'deployments.id')
          .where('replicas.serving', '=', true),
    )
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('operations')
            .select('operations.id')
            .whereRef('operations.deployment_id', '=', 'deployments.id')
            .where((of) =>
              of.or([
                of('operations.state', 'in', OPEN_STATES),
                of.and([of('operations.kind', '=', 'heal'), of('operations.finished_at', '>', ASK_AGAIN)]),
              ]),
            ),
        ),
      ),
    )
    .orderBy('deployments.id')
    .limit(MOST_ASKED)
    .execute();
  return rows.map(({ id }) => id);
}
