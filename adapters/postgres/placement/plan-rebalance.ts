import { type ExpressionBuilder, sql } from 'kysely';
import { OPEN_STATES } from '../../../domain/operation.ts';
import type { PlacedDeployment } from '../../../domain/placement/movable.ts';
import type { PlacementRules } from '../../../domain/placement/placement.ts';
import { ANYWHERE, type PlacementPolicy } from '../../../domain/placement/policy.ts';
import { planRebalance, type RebalancePlan } from '../../../domain/placement/rebalance.ts';
import type { Database, DatabaseTransaction } from '../database.ts';
import type { Schema } from '../schema.ts';
import { inSnapshot, readModelNodes, readModelReplicas } from './cluster-snapshot.ts';

/**
 * Plans at most so many moves that bring the shares of the ready nodes closer together, as all is at this moment.
 * Nothing is reserved.
 */
export async function readRebalancePlan(
  db: Database,
  { moves }: { readonly moves: number },
  rules: PlacementRules,
): Promise<RebalancePlan> {
  const cluster = await inSnapshot(db, async (tx) => ({
    nodes: await readModelNodes(tx),
    replicas: await readModelReplicas(tx),
    deployments: await readPlaced(tx),
  }));
  return planRebalance({ ...cluster, rules, limits: { moves } });
}

/** All deployments that run, with what the revision that runs says about places; of its spec nothing else is read. */
async function readPlaced(tx: DatabaseTransaction): Promise<PlacedDeployment[]> {
  const rows = await tx
    .selectFrom('deployments')
    .innerJoin('revisions', (join) =>
      join
        .onRef('revisions.deployment_id', '=', 'deployments.id')
        .onRef('revisions.number', '=', 'deployments.current_revision'),
    )
    .select(['deployments.id', 'deployments.project_id as projectId', 'deployments.name'])
    .select((eb) => [
      sql<PlacementPolicy | null>`revisions.spec -> 'placement'`.as('policy'),
      sql<boolean>`revisions.spec -> 'services' IS NOT NULL`.as('isWhole'),
      sql<boolean>`jsonb_path_exists(revisions.spec, '$.source ? (@.kind != "image")')
        OR jsonb_path_exists(revisions.spec, '$.services[*].source ? (@.kind != "image")')`.as('isBuilt'),
      sql<boolean>`jsonb_path_exists(revisions.spec, '$.volumes[*]')
        OR jsonb_path_exists(revisions.spec, '$.services[*].volumes[*]')`.as('hasVolumes'),
      eb.or([eb.exists(openOperations(eb)), eb.exists(unsettledReplicas(eb))]).as('isUnsettled'),
    ])
    .where('deployments.deleting', '=', false)
    .where('deployments.stopped', '=', false)
    .execute();
  const ids = new Map(rows.map(({ id, projectId, name }) => [`${projectId} ${name}`, id]));
  return rows.map(({ id, projectId, name, policy, isWhole, isBuilt, hasVolumes, isUnsettled }) => ({
    ...{ deploymentId: id, name, policy: policy ?? ANYWHERE, isWhole, isBuilt },
    nearId: policy?.near ? (ids.get(`${projectId} ${policy.near}`) ?? null) : null,
    isMovable: !isUnsettled && !hasVolumes,
  }));
}

type Tables = ExpressionBuilder<Schema, 'deployments' | 'revisions'>;

function openOperations(eb: Tables) {
  return eb
    .selectFrom('operations')
    .select('operations.id')
    .whereRef('operations.deployment_id', '=', 'deployments.id')
    .where('operations.state', 'in', OPEN_STATES);
}

/** What is starting, ill, on its way out or already gone: the platform is about to do something of its own with it. */
function unsettledReplicas(eb: Tables) {
  return eb
    .selectFrom('replicas')
    .select('replicas.replica_id')
    .whereRef('replicas.deployment_id', '=', 'deployments.id')
    .where((of) =>
      of.or([
        of('replicas.state', '!=', 'healthy'),
        of('replicas.serving', '=', false),
        of('replicas.gone', '=', true),
        of('replicas.drained_by', 'is not', null),
      ]),
    );
}
