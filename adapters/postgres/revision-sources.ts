import type { StoreActivities } from '../../contracts/activities.ts';
import type { PlannedSource, ServiceRef } from '../../contracts/rollout.ts';
import { repositoryOfSpec } from '../../domain/compose-origin.ts';
import { isCommitId } from '../../domain/git-source.ts';
import type { Source } from '../../domain/spec.ts';
import { nameOf } from './builds.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { getSpec, lockExisting } from './deployment-lock.ts';
import { recordEvents } from './events.ts';

/** How much of a commit id people need to see. */
const SHOWN_DIGITS = 12;

/**
 * Pins a service of a revision to the commit that its ref stands for; one that is pinned stays as it is.
 *
 * @returns the commit that it is pinned to.
 */
export async function recordSource(
  db: Database,
  { deploymentId, operationId, service, revision, commit }: Parameters<StoreActivities['recordSource']>[0],
): Promise<{ commit: string }> {
  return await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    const inserted = await tx
      .insertInto('revision_sources')
      .values({ deployment_id: deploymentId, revision, service, commit })
      .onConflict((conflict) => conflict.doNothing())
      .returning('commit')
      .executeTakeFirst();
    if (inserted) {
      const named = await refOf(tx, { deploymentId, revision });
      const message = `${named}${nameOf(service)} is ${commit}`;
      await recordEvents(tx, deployment, [{ kind: 'source.resolved', message, operationId }]);
      return inserted;
    }
    const pinned = await findCommit(tx, { deploymentId, revision, service });
    return { commit: pinned ?? commit };
  });
}

/** The ref in words; what is named by its whole id is only shown shorter. */
async function refOf(tx: DatabaseTransaction, of: { deploymentId: string; revision: number }): Promise<string> {
  const spec = await getSpec(tx, of.deploymentId, of.revision);
  const ref = repositoryOfSpec(spec)?.ref ?? 'the source';
  if (ref === 'HEAD') return 'the default branch';
  return isCommitId(ref) ? ref.slice(0, SHOWN_DIGITS) : ref;
}

/** The commit to which a service of a revision is pinned; `null` before its ref was looked up. */
export async function findCommit(
  tx: DatabaseTransaction,
  { deploymentId, revision, service }: { deploymentId: string; revision: number; service: string },
): Promise<string | null> {
  const pinned = await tx
    .selectFrom('revision_sources')
    .select('commit')
    .where('deployment_id', '=', deploymentId)
    .where('revision', '=', revision)
    .where('service', '=', service)
    .executeTakeFirst();
  return pinned?.commit ?? null;
}

/** A source as a plan has it. What stays out of the history: a node asks for the values when it builds. */
export async function planSource(tx: DatabaseTransaction, source: Source, of: ServiceRef): Promise<PlannedSource> {
  if (source.kind === 'image' || source.kind === 'static') return source;
  const { args = [], ...rest } = source;
  const hasArguments = args.length > 0;
  return rest.kind === 'git' ? { ...rest, hasArguments, commit: await findCommit(tx, of) } : { ...rest, hasArguments };
}

/** Pins a revision to the commits of another one, as far as that is pinned. */
export async function copySources(
  tx: DatabaseTransaction,
  deploymentId: string,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<void> {
  const rows = await tx
    .selectFrom('revision_sources')
    .select(['deployment_id', 'service', 'commit'])
    .where('deployment_id', '=', deploymentId)
    .where('revision', '=', from)
    .execute();
  if (rows.length === 0) return;
  await tx
    .insertInto('revision_sources')
    .values(rows.map((row) => ({ ...row, revision: to })))
    .execute();
}
