import type { SealedVariable } from '../../domain/spec.ts';
import type { Database } from './database.ts';

/** A revision's variables, still sealed, and whose key opens them. */
export interface SealedEnvironment {
  readonly organizationId: string;
  readonly variables: readonly SealedVariable[];
}

/** Finds a revision's variables for a node; `undefined` unless that node holds a replica of the revision. */
export async function findSealedEnvironment(
  db: Database,
  held: { readonly deploymentId: string; readonly revision: number; readonly nodeId: string },
): Promise<SealedEnvironment | undefined> {
  const found = await db
    .selectFrom('revisions')
    .innerJoin('deployments', 'deployments.id', 'revisions.deployment_id')
    .select(['deployments.organization_id as organizationId', 'revisions.spec'])
    .where('revisions.deployment_id', '=', held.deploymentId)
    .where('revisions.number', '=', held.revision)
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom('replicas')
          .select('replicas.replica_id')
          .whereRef('replicas.deployment_id', '=', 'revisions.deployment_id')
          .whereRef('replicas.revision', '=', 'revisions.number')
          .where('replicas.node_id', '=', held.nodeId),
      ),
    )
    .executeTakeFirst();
  return found && { organizationId: found.organizationId, variables: found.spec.environment };
}
