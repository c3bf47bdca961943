import { notFound } from '../../domain/errors.ts';
import { METRICS_PERIOD_KINDS, type OwnHours } from '../../domain/metrics/retention.ts';
import type { Database, DatabaseTransaction } from './database.ts';

/** Reads the periods that an organization has of its own. */
export async function readOwnHours(db: Database | DatabaseTransaction, organizationId: string): Promise<OwnHours> {
  const rows = await db
    .selectFrom('retention_periods')
    .select(['kind', 'keep_hours'])
    .where('organization_id', '=', organizationId)
    .execute();
  return Object.fromEntries(rows.map(({ kind, keep_hours }) => [kind, keep_hours]));
}

/** Reads the periods of its own that the organization of a deployment has. */
export async function readOwnHoursOf(db: Database, deploymentId: string): Promise<OwnHours> {
  const rows = await db
    .selectFrom('retention_periods')
    .innerJoin('metered_deployments', 'metered_deployments.organization_id', 'retention_periods.organization_id')
    .select(['kind', 'keep_hours'])
    .where('deployment_id', '=', deploymentId)
    .execute();
  return Object.fromEntries(rows.map(({ kind, keep_hours }) => [kind, keep_hours]));
}

/**
 * Gives an organization periods of its own. A kind that is left out stays as it is.
 *
 * @param check is asked about all that hold then, and throws where they do not go together.
 * @returns the periods that it has then.
 * @throws NOT_FOUND
 */
export async function setOwnHours(
  db: Database,
  { organizationId, wanted, check }: { organizationId: string; wanted: OwnHours; check: (own: OwnHours) => void },
): Promise<OwnHours> {
  return await db.transaction().execute(async (tx) => {
    await lockOrganization(tx, organizationId);
    const own = { ...(await readOwnHours(tx, organizationId)), ...wanted };
    check(own);
    for (const kind of METRICS_PERIOD_KINDS) {
      const keepHours = wanted[kind];
      if (keepHours === undefined) continue;
      await tx
        .insertInto('retention_periods')
        .values({ organization_id: organizationId, kind, keep_hours: keepHours })
        .onConflict((conflict) =>
          conflict
            .columns(['organization_id', 'kind'])
            .doUpdateSet((eb) => ({ keep_hours: keepHours, updated_at: eb.fn<Date>('now') })),
        )
        .execute();
    }
    return own;
  });
}

/** Takes from an organization the periods of its own. Safe to repeat. @throws NOT_FOUND */
export async function resetOwnHours(db: Database, organizationId: string): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await lockOrganization(tx, organizationId);
    await tx.deleteFrom('retention_periods').where('organization_id', '=', organizationId).execute();
  });
}

/** Whoever changes its periods waits here, so that two changes together are checked together. */
async function lockOrganization(tx: DatabaseTransaction, id: string): Promise<void> {
  const found = await tx
    .selectFrom('organizations')
    .select('id')
    .where('id', '=', id)
    .forNoKeyUpdate()
    .executeTakeFirst();
  if (!found) throw notFound('organization');
}
