import { sql } from 'kysely';
import type { PlaceOfDeployment, TakenOperation, TakenOperations } from '../../contracts/deployment.ts';
import { OPEN_STATES, partOf } from '../../domain/operation.ts';
import type { Database } from './database.ts';
import { lockDeployment, STORED_COLUMNS, toStored } from './deployment-lock.ts';

/** Deployments that are told again at a time; those beyond are told the next time. */
const MOST_TOLD = 100;

/** How long a call that has just stored an operation may take to tell the workflow of it, before another does. */
const TELLING = sql`interval '10 seconds'`;

/**
 * Says which operations of a deployment are to be carried out, in the order in which they were asked for, and marks them
 * as taken. A repeated call answers with those that are still open, so what takes them may die at any moment.
 */
export async function takeOperations(db: Database, deploymentId: string): Promise<TakenOperations> {
  return await db.transaction().execute(async (tx) => {
    // Whoever is storing one just now tells again once it is there.
    const deployment = await lockDeployment(tx, deploymentId);
    if (!deployment) return { exists: false, operations: [] };
    await tx
      .updateTable('operations')
      .set((eb) => ({ taken_at: eb.fn<Date>('now') }))
      .where('deployment_id', '=', deploymentId)
      .where('taken_at', 'is', null)
      .execute();
    const open = await tx
      .selectFrom('operations')
      .select(STORED_COLUMNS)
      .select('supersede_running as supersedeRunning')
      .where('deployment_id', '=', deploymentId)
      .where('state', 'in', OPEN_STATES)
      .orderBy('sequence')
      .execute();
    const operations = open.map(({ supersedeRunning, ...row }): TakenOperation => {
      const { id: operationId, kind, revision, scale, move } = toStored(row);
      const part = partOf({ service: scale?.service ?? null, move });
      return { operationId, kind, revision, supersedeRunning, ...(part === undefined ? {} : { part }) };
    });
    return { exists: true, operations };
  });
}

/** Lists deployments with an operation that their workflow has not taken, although it was to be told of it long since. */
export async function listUntaken(db: Database): Promise<PlaceOfDeployment[]> {
  return await db
    .selectFrom('operations')
    .select(['deployment_id as deploymentId', 'organization_id as organizationId', 'project_id as projectId'])
    .distinct()
    .where('taken_at', 'is', null)
    .where('finished_at', 'is', null)
    .where('created_at', '<', (eb) => sql`${eb.fn('now')} - ${TELLING}`)
    .limit(MOST_TOLD)
    .execute();
}
