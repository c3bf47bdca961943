import type { DeploymentSpec } from '../../domain/spec.ts';
import type { Database } from './database.ts';

/** Which revision a node asks about. */
export interface HeldRevisionRef {
  readonly deploymentId: string;
  readonly revision: number;
  readonly nodeId: string;
}

/** A revision that a node runs or builds, and whose it is. */
export interface HeldRevision {
  readonly organizationId: string;
  readonly spec: DeploymentSpec;
}

/**
 * Finds a revision for a node; `undefined` unless that node holds a replica of it or was chosen to build its image: who
 * builds must know the variables, so that none of their values gets into the log.
 */
export async function findHeldRevision(db: Database, held: HeldRevisionRef): Promise<HeldRevision | undefined> {
  return await db
    .selectFrom('revisions')
    .innerJoin('deployments', 'deployments.id', 'revisions.deployment_id')
    .select(['deployments.organization_id as organizationId', 'revisions.spec'])
    .where('revisions.deployment_id', '=', held.deploymentId)
    .where('revisions.number', '=', held.revision)
    .where((eb) =>
      eb.or([
        eb.exists(
          eb
            .selectFrom('replicas')
            .select('replicas.replica_id')
            .whereRef('replicas.deployment_id', '=', 'revisions.deployment_id')
            .whereRef('replicas.revision', '=', 'revisions.number')
            .where('replicas.node_id', '=', held.nodeId),
        ),
        eb.exists(
          eb
            .selectFrom('builds')
            .select('builds.service')
            .whereRef('builds.deployment_id', '=', 'revisions.deployment_id')
            .whereRef('builds.revision', '=', 'revisions.number')
            .where('builds.node_id', '=', held.nodeId),
        ),
      ]),
    )
    .executeTakeFirst();
}
