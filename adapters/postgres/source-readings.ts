import { sql } from 'kysely';
import type { PlannedReading } from '../../contracts/source-reading.ts';
import { isUnread, repositoryOfSpec } from '../../domain/compose-origin.ts';
import { DomainError } from '../../domain/errors.ts';
import { makesRevision } from '../../domain/operation.ts';
import { type ConstrainedNode, meets } from '../../domain/placement/policy.ts';
import { type ComposeSpec, type DeploymentSpec, isCompose, ONLY_SERVICE } from '../../domain/spec.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { getSpec, type LockedDeployment, type StoredOperation } from './deployment-lock.ts';
import { readPlacementNodes } from './placement/placement-nodes.ts';
import { findCommit } from './revision-sources.ts';

/**
 * Says what of a revision's repository has to be read before its rollout can be planned, and chooses the node that does
 * it; `undefined` when nothing has. A repeated call gives the same node.
 *
 * @throws NO_NODE_READY, which may pass.
 */
export async function planReading(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  { id: operationId, kind, revision }: StoredOperation,
): Promise<PlannedReading | undefined> {
  if (!makesRevision(kind)) return undefined;
  const spec = await getSpec(tx, deployment.id, revision);
  const repository = isUnread(spec) ? repositoryOfSpec(spec) : undefined;
  if (!repository) return undefined;
  const { url, ref, subdirectory, submodules, composePath = '' } = repository;
  const nodeId = (await findReader(tx, deployment.id, revision)) ?? (await chooseReader(tx, deployment, spec));
  await tx
    .insertInto('source_readings')
    .values({ deployment_id: deployment.id, revision, operation_id: operationId, node_id: nodeId })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return {
    ...{ revision, nodeId },
    source: {
      ...{ url, ref, subdirectory, submodules },
      composePath: composePath === '' ? null : composePath,
      onlyCompose: isCompose(spec),
    },
    commit: await findCommit(tx, { deploymentId: deployment.id, revision, service: ONLY_SERVICE }),
  };
}

async function findReader(tx: DatabaseTransaction, deploymentId: string, revision: number) {
  const reading = await tx
    .selectFrom('source_readings')
    .select('node_id as nodeId')
    .where('deployment_id', '=', deploymentId)
    .where('revision', '=', revision)
    .executeTakeFirst();
  return reading?.nodeId;
}

/** One on which the deployment runs has seen its repository before; else the one of which the least is reserved. */
async function chooseReader(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  { placement }: DeploymentSpec,
): Promise<string> {
  const mayBe = (node: ConstrainedNode) =>
    (placement?.constraints ?? []).every((constraint) => meets(node, constraint));
  const nodes = await readPlacementNodes(tx, { deployment, operation: null, service: null, near: null });
  const [best] = nodes
    .filter((node) => node.ready && mayBe(node))
    .sort(
      (a, b) =>
        b.ownReplicas - a.ownReplicas ||
        a.reservedMemoryBytes / a.memoryBytes - b.reservedMemoryBytes / b.memoryBytes ||
        (a.nodeId < b.nodeId ? -1 : 1),
    );
  if (best) return best.nodeId;
  const found = `none of ${nodes.length} is ready and fits the constraints`;
  throw new DomainError('NO_NODE_READY', `cannot read the repository of ${deployment.name} on a node: ${found}`, {
    hint: 'Look at the nodes with "obiente nodes", then deploy again.',
    mayPass: true,
  });
}

/** A reading that goes on: whose it is, and what it is of. */
export interface OpenReading {
  readonly organizationId: string;
  /** As it was asked for. */
  readonly spec: DeploymentSpec;
  readonly commit: string | null;
}

/** Finds what a node reads just now; `undefined` unless that node was chosen for it, and the operation goes on. */
export async function findOpenReading(
  db: Database,
  { deploymentId, revision, nodeId }: { deploymentId: string; revision: number; nodeId: string },
): Promise<OpenReading | undefined> {
  return await db
    .selectFrom('source_readings as readings')
    .innerJoin('operations', 'operations.id', 'readings.operation_id')
    .innerJoin('revisions', (join) =>
      join
        .onRef('revisions.deployment_id', '=', 'readings.deployment_id')
        .onRef('revisions.number', '=', 'readings.revision'),
    )
    .leftJoin('revision_sources as sources', (join) =>
      join
        .onRef('sources.deployment_id', '=', 'readings.deployment_id')
        .onRef('sources.revision', '=', 'readings.revision')
        .on('sources.service', '=', ONLY_SERVICE),
    )
    .select(['operations.organization_id as organizationId', 'revisions.spec', 'sources.commit'])
    .where('readings.deployment_id', '=', deploymentId)
    .where('readings.revision', '=', revision)
    .where('readings.node_id', '=', nodeId)
    .where('readings.found', 'is', null)
    .where('operations.state', 'in', ['running', 'waiting'])
    .executeTakeFirst();
}

/** What the newest revision before this one is made of, of those that are known; `null` without one. */
export async function findReadBefore(
  db: Database,
  { deploymentId, revision }: { deploymentId: string; revision: number },
): Promise<DeploymentSpec | null> {
  const before = await db
    .selectFrom('revisions')
    .select('spec')
    .where('deployment_id', '=', deploymentId)
    .where('number', '<', revision)
    .where(sql<boolean>`NOT is_unread(spec)`)
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst();
  return before?.spec ?? null;
}

/** Keeps what a node's Compose file says until the workflow makes the revision of it; the newest report counts. */
export async function keepFile(
  db: Database,
  of: { deploymentId: string; revision: number; nodeId: string; spec: ComposeSpec },
): Promise<void> {
  await db
    .updateTable('source_readings')
    .set({ spec: JSON.stringify(of.spec) })
    .where('deployment_id', '=', of.deploymentId)
    .where('revision', '=', of.revision)
    .where('node_id', '=', of.nodeId)
    .where('found', 'is', null)
    .execute();
}
