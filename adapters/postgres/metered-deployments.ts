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

/** An organization's deployments of which usage may be told, those that are gone included: names by id. */
export async function listMeteredDeployments(
  db: Database,
  organizationId: string,
): Promise<ReadonlyMap<string, string>> {
  const found = await db
    .selectFrom('metered_deployments')
    .select(['deployment_id', 'name'])
    .where('organization_id', '=', organizationId)
    .execute();
  return new Map(found.map(({ deployment_id, name }) => [deployment_id, name]));
}
