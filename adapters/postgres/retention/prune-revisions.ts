import { sql } from 'kysely';
import { RETENTION_KINDS } from '../../../contracts/retention.ts';
import { keptRevisions, movedBuilds, prunedRevisions } from '../../../domain/retention/revisions.ts';
import type { DatabaseTransaction } from '../database.ts';
import { lockDeployment } from '../deployment-lock.ts';
import { isOneOfTexts } from '../page.ts';
import { addMeasures, type Count, measureOf, type Pass } from './pass.ts';
import type { History } from './prune-history.ts';
import { readFacts } from './revision-facts.ts';

/** Revisions that one transaction removes, while it holds the deployment's row. */
const BATCH = 100;

/** Numbers of revisions of one deployment. */
interface Revisions {
  readonly deploymentId: string;
  readonly numbers: readonly number[];
}

/**
 * Removes the revisions of a deployment that may go, with their images and builds in the database.
 *
 * Each step holds the deployment's row, as everything does that refers to a revision: a rollback either finds the
 * revision and has copied it before it goes, or finds that it is gone. A build whose image lives on in a copy is
 * remembered with that.
 *
 * @returns what of the deployment's history stays with its revisions.
 */
export async function pruneRevisions(pass: Pass, deploymentId: string): Promise<History> {
  for (;;) {
    const { history, isDone } = await pass.step(async (tx, count) => {
      if (!pass.isDryRun) await lockDeployment(tx, deploymentId);
      const facts = (await readFacts(tx, [deploymentId])).get(deploymentId);
      if (!facts) return { history: { deploymentId, exists: false, keptOperations: new Set<string>() }, isDone: true };
      const goes = prunedRevisions(facts, pass.policy);
      const batch = pass.isDryRun ? goes : goes.slice(0, BATCH);
      if (batch.length > 0) await remove(tx, { deploymentId, numbers: batch }, { count, isDryRun: pass.isDryRun });
      const kept = [...keptRevisions(facts, pass.policy)];
      const keptOperations = new Set(kept.map((number) => facts.madeBy.get(number) ?? ''));
      return { history: { deploymentId, exists: true, keptOperations }, isDone: batch.length === goes.length };
    });
    if (isDone) return history;
  }
}

async function remove(
  tx: DatabaseTransaction,
  goes: Revisions,
  { count, isDryRun }: { readonly count: Count; readonly isDryRun: boolean },
): Promise<void> {
  const moved = await findMovedBuilds(tx, goes);
  const builds = await measure(tx, 'builds', goes);
  count(RETENTION_KINDS.revisions, {
    ...addMeasures(await measure(tx, 'revisions', goes), await measure(tx, 'revision_images', goes)),
    count: goes.numbers.length,
  });
  count(RETENTION_KINDS.builds, { ...builds, count: Math.max(0, builds.count - moved.length) });
  if (isDryRun) return;
  for (const { from, toRevision } of moved) await moveBuild(tx, goes.deploymentId, { ...from, toRevision });
  await tx
    .deleteFrom('revisions')
    .where('deployment_id', '=', goes.deploymentId)
    .where(isOneOfNumbers('number', goes.numbers))
    .execute();
}

async function measure(tx: DatabaseTransaction, table: 'revisions' | 'revision_images' | 'builds', goes: Revisions) {
  const column = table === 'revisions' ? 'number' : 'revision';
  return await tx
    .selectFrom(table)
    .select(measureOf(table))
    .where('deployment_id', '=', goes.deploymentId)
    .where(isOneOfNumbers(column, goes.numbers))
    .executeTakeFirstOrThrow();
}

async function findMovedBuilds(tx: DatabaseTransaction, { deploymentId, numbers }: Revisions) {
  const rows = await tx
    .selectFrom('builds')
    .select(['revision', 'service', 'image_id as imageId'])
    .where('deployment_id', '=', deploymentId)
    .orderBy('finished_at')
    .execute();
  const builds = rows.flatMap(({ imageId, ...build }) => (imageId === null ? [] : [{ ...build, imageId }]));
  const images = [...new Set(builds.map(({ imageId }) => imageId))];
  const pinned = await tx
    .selectFrom('revision_images')
    .select(['revision', 'service', 'image_digest as digest'])
    .where('deployment_id', '=', deploymentId)
    .where(isOneOfTexts('image_digest', images))
    .orderBy('revision')
    .execute();
  return movedBuilds(numbers, builds, pinned);
}

async function moveBuild(
  tx: DatabaseTransaction,
  deploymentId: string,
  { revision, service, toRevision }: { revision: number; service: string; toRevision: number },
): Promise<void> {
  await tx
    .updateTable('builds')
    .set({ revision: toRevision })
    .where('deployment_id', '=', deploymentId)
    .where('revision', '=', revision)
    .where('service', '=', service)
    .execute();
}

function isOneOfNumbers(column: string, numbers: readonly number[]) {
  return sql<boolean>`${sql.ref(column)} = ANY(${numbers}::integer[])`;
}
