import type { SealedVariable } from '../../domain/spec.ts';
import type { Database } from './database.ts';
import { findHeldRevision, type HeldRevisionRef } from './held-revision.ts';

/** A revision's variables, still sealed, and whose key opens them. */
export interface SealedEnvironment {
  readonly organizationId: string;
  readonly variables: readonly SealedVariable[];
}

/** Finds a revision's variables for a node; `undefined` unless that node runs or builds the revision. */
export async function findSealedEnvironment(
  db: Database,
  held: HeldRevisionRef,
): Promise<SealedEnvironment | undefined> {
  const found = await findHeldRevision(db, held);
  return found && { organizationId: found.organizationId, variables: found.spec.environment };
}
