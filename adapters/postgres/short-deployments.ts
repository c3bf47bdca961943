import { type RawBuilder, type SqlBool, sql } from 'kysely';
import { OPEN_STATES } from '../../domain/operation.ts';
import type { Database } from './database.ts';

/** Deployments that one reconciliation asks; those beyond are asked by the next ones. */
const MOST_ASKED = 100;

/** Whether the deployment of the row is being healed, or could not be within the last five minutes: then it is not asked. */
export const IS_ASKED_ALREADY: RawBuilder<SqlBool> = sql<SqlBool>`EXISTS (
  SELECT FROM operations
  WHERE operations.deployment_id = deployments.id AND operations.kind = 'heal'
    AND (operations.finished_at IS NULL OR operations.finished_at > now() - interval '5 minutes')
)`;

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
            .where('operations.state', 'in', OPEN_STATES),
        ),
      ),
    )
    .where((eb) => eb.not(IS_ASKED_ALREADY))
    .orderBy('deployments.id')
    .limit(MOST_ASKED)
    .execute();
  return rows.map(({ id }) => id);
}
