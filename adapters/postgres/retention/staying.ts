import type { RetentionScope } from '../../../contracts/retention.ts';
import { keptRevisions } from '../../../domain/retention/revisions.ts';
import type { Database } from '../database.ts';
import { readFacts } from './revision-facts.ts';

/** Deployments that are looked at together. */
const BATCH = 200;

/** Something that a revision has or names. */
interface OfRevision {
  readonly deploymentId: string;
  readonly revision: number;
}

/**
 * Leaves of things those whose revision stays.
 *
 * To a run all do that exist: what could go has gone already, and what could not may still be returned to. A dry run
 * asks the rule instead, so it comes to the same.
 */
export async function staying<Thing extends OfRevision>(
  db: Database,
  { isDryRun, policy }: Pick<RetentionScope, 'isDryRun' | 'policy'>,
  things: readonly Thing[],
): Promise<readonly Thing[]> {
  if (!isDryRun) return things;
  const ids = [...new Set(things.map(({ deploymentId }) => deploymentId))];
  const kept = new Map<string, ReadonlySet<number>>();
  for (let from = 0; from < ids.length; from += BATCH) {
    const facts = await readFacts(db, ids.slice(from, from + BATCH));
    for (const [id, of] of facts) kept.set(id, keptRevisions(of, policy));
  }
  return things.filter(({ deploymentId, revision }) => kept.get(deploymentId)?.has(revision));
}
