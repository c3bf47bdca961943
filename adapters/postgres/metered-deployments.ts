import { sql } from 'kysely';
import type { OwnPeriod } from '../../domain/metrics/retention.ts';
import type { Database } from './database.ts';

/** After so long nothing that it used is kept any more, whatever an organization wants: 10 years. */
const FORGOTTEN_AFTER = '3660 days';

/** Forgets whose deployments were of which nothing can be told any more. Safe to repeat. */
export async function forgetMeteredDeployments(db: Database): Promise<void> {
  await sql`
    delete from metered_deployments m where seen_at < now() - ${FORGOTTEN_AFTER}::interval
      and not exists (select from deployments d where d.id = m.deployment_id)`.execute(db);
}

/** Lists the periods that organizations have of their own, with their deployments. */
export async function listOwnPeriods(db: Database): Promise<readonly OwnPeriod[]> {
  const { rows } = await sql<OwnPeriod>`
    select p.kind, p.keep_hours as "keepHours", array_agg(m.deployment_id::text) as "deploymentIds"
    from retention_periods p join metered_deployments m using (organization_id)
    group by p.organization_id, p.kind, p.keep_hours
    order by p.organization_id, p.kind
  `.execute(db);
  return rows;
}

/** A deployment of which usage may be told. */
export interface MeteredDeployment {
  readonly id: string;
  /** Or the last that it had. */
  readonly name: string;
  readonly isGone: boolean;
}

/** Lists an organization's deployments of which usage may be told, those that are gone included, by name and then by id. */
export async function listMeteredDeployments(
  db: Database,
  organizationId: string,
): Promise<readonly MeteredDeployment[]> {
  return await db
    .selectFrom('metered_deployments as m')
    .leftJoin('deployments as d', 'd.id', 'm.deployment_id')
    .select((eb) => ['m.deployment_id as id', 'm.name', eb('d.id', 'is', null).$castTo<boolean>().as('isGone')])
    .where('m.organization_id', '=', organizationId)
    .orderBy('m.name')
    .orderBy('m.deployment_id')
    .execute();
}
