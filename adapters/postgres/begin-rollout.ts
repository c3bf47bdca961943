import { sql } from 'kysely';
import type { OperationRef } from '../../contracts/activities.ts';
import type { ExistingReplica, PlannedReplica, RolloutPlan } from '../../contracts/rollout.ts';
import { replicaId } from '../../domain/naming.ts';
import { choosePlacement, type PlacementNode, type PlacementRules } from '../../domain/placement/placement.ts';
import { toPlacementError } from '../../domain/placement/refusal.ts';
import type { PlacementRequest } from '../../domain/placement/strategy.ts';
import type { DeploymentSpec } from '../../domain/spec.ts';
import { type Database, type DatabaseTransaction, ROWS_PER_INSERT } from './database.ts';
import { getRevision, type LockedDeployment, lockExisting, startOperation } from './deployment-lock.ts';
import { type NewEvent, recordEvents } from './events.ts';

/** Any number; all who reserve take this lock, so they read what the others have reserved. */
const PLACEMENT_LOCK = 7_302_451;

/**
 * Marks the operation as running, chooses nodes for the revision's replicas and reserves their capacity.
 *
 * One transaction that holds the placement lock from reading what is free to reserving it, so two rollouts never count
 * the same memory. A repeated call finds its own reservations and answers with them.
 */
export async function beginRollout(
  db: Database,
  { deploymentId, operationId, revision }: OperationRef & { readonly revision: number },
  rules: PlacementRules,
): Promise<RolloutPlan> {
  return await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    const { spec, imageDigest } = await getRevision(tx, deploymentId, revision);
    if (await startOperation(tx, operationId)) {
      const message = `rollout of revision ${revision} began`;
      await recordEvents(tx, deployment, [{ kind: 'operation.started', message, operationId }]);
    }
    let planned = await listPlanned(tx, deploymentId, revision);
    if (planned.length === 0) {
      planned = await reserve(tx, { deployment, operationId, revision, spec }, rules);
    }
    return {
      template: toTemplate(deployment, operationId, revision, spec),
      source: spec.source,
      imageDigest,
      planned,
      existing: await listExisting(tx, deploymentId, revision),
    };
  });
}

function toTemplate(
  deployment: LockedDeployment,
  operationId: string,
  revision: number,
  spec: DeploymentSpec,
): RolloutPlan['template'] {
  const { port, command, healthCheck, limits, restartPolicy } = spec;
  return {
    deploymentId: deployment.id,
    projectId: deployment.projectId,
    serviceName: deployment.name,
    ...{ operationId, revision, port, command, healthCheck, limits, restartPolicy },
    hasEnvironment: spec.environment.length > 0,
  };
}

interface Reservation {
  readonly deployment: LockedDeployment;
  readonly operationId: string;
  readonly revision: number;
  readonly spec: DeploymentSpec;
}

async function reserve(
  tx: DatabaseTransaction,
  { deployment, operationId, revision, spec }: Reservation,
  rules: PlacementRules,
): Promise<PlannedReplica[]> {
  await sql`SELECT pg_advisory_xact_lock(${PLACEMENT_LOCK})`.execute(tx);
  const request: PlacementRequest = {
    name: deployment.name,
    replicas: spec.replicas,
    cpuCores: spec.limits.cpuCores,
    memoryBytes: spec.limits.memoryBytes,
    together: spec.source.kind === 'dockerfile',
  };
  const { assignments, refusal } = choosePlacement({ request, rules, nodes: await readNodes(tx, deployment.id) });
  if (refusal) throw toPlacementError(request, refusal);
  const planned = assignments.map((nodeId, index) => ({ replicaId: replicaId(revision, index), index, nodeId }));
  const rows = planned.map((replica) => ({
    deployment_id: deployment.id,
    replica_id: replica.replicaId,
    revision,
    index: replica.index,
    node_id: replica.nodeId,
    state: 'starting' as const,
    cpu_cores: spec.limits.cpuCores,
    memory_bytes: spec.limits.memoryBytes,
  }));
  for (let from = 0; from < rows.length; from += ROWS_PER_INSERT) {
    await tx
      .insertInto('replicas')
      .values(rows.slice(from, from + ROWS_PER_INSERT))
      .execute();
  }
  const placed: NewEvent = { kind: 'replica.placed', message: describePlacement(assignments), operationId };
  const message = `building the image on ${assignments[0]}`;
  const building: NewEvent[] = request.together ? [{ kind: 'build.started', message, operationId }] : [];
  await recordEvents(tx, deployment, [placed, ...building]);
  return planned;
}

/** One event for all of them: `2 replicas placed on node-a, 1 on node-b`. */
function describePlacement(assignments: readonly string[]): string {
  const perNode = [...Map.groupBy(assignments, (nodeId) => nodeId)].map(([nodeId, { length }]) => ({ nodeId, length }));
  const [first, ...others] = perNode;
  if (!first) return 'no replicas to place';
  const noun = first.length === 1 ? 'replica' : 'replicas';
  return [
    `${first.length} ${noun} placed on ${first.nodeId}`,
    ...others.map(({ nodeId, length }) => `${length} on ${nodeId}`),
  ].join(', ');
}

/**
 * A node's state is what its workflow found. Its lease does not count here: when the whole control plane was away, every
 * lease has run out, and a rollout that goes on afterwards finds the nodes as they were.
 */
async function readNodes(tx: DatabaseTransaction, deploymentId: string): Promise<PlacementNode[]> {
  const nodes = await tx
    .selectFrom('nodes')
    .leftJoin('replicas', 'replicas.node_id', 'nodes.id')
    .select((eb) => [
      'nodes.id as nodeId',
      'nodes.state',
      'nodes.cpu_cores as cpuCores',
      'nodes.memory_bytes as memoryBytes',
      sql<number>`coalesce(sum(replicas.cpu_cores), 0)`.as('reservedCpuCores'),
      sql<number>`coalesce(sum(replicas.memory_bytes), 0)::bigint`.as('reservedMemoryBytes'),
      eb.fn
        .count<number>('replicas.deployment_id')
        .distinct()
        .filterWhere('replicas.deployment_id', '<>', deploymentId)
        .as('otherDeployments'),
    ])
    .groupBy('nodes.id')
    .orderBy('nodes.id')
    .execute();
  return nodes.map(({ state, ...node }) => ({ ...node, ready: state === 'ready' }));
}

async function listPlanned(tx: DatabaseTransaction, deploymentId: string, revision: number): Promise<PlannedReplica[]> {
  return await tx
    .selectFrom('replicas')
    .select(['replica_id as replicaId', 'index', 'node_id as nodeId'])
    .where('deployment_id', '=', deploymentId)
    .where('revision', '=', revision)
    .orderBy('index')
    .execute();
}

async function listExisting(
  tx: DatabaseTransaction,
  deploymentId: string,
  exceptRevision: number,
): Promise<ExistingReplica[]> {
  return await tx
    .selectFrom('replicas')
    .select(['replica_id as replicaId', 'index', 'node_id as nodeId', 'revision', 'serving'])
    .where('deployment_id', '=', deploymentId)
    .where('revision', '<>', exceptRevision)
    .orderBy('revision')
    .orderBy('index')
    .execute();
}
