import { sql } from 'kysely';
import type { OperationRef, ReserveInput } from '../../../contracts/activities.ts';
import type { PlannedReplica } from '../../../contracts/rollout.ts';
import { replicaId } from '../../../domain/naming.ts';
import type { PlacementRules } from '../../../domain/placement/placement.ts';
import { ANYWHERE } from '../../../domain/placement/policy.ts';
import { isCompose, type ServiceSpec, servicesOf } from '../../../domain/spec.ts';
import { volumeNames } from '../../../domain/volumes.ts';
import { findCarryTarget, placeCarries } from '../carried-volumes.ts';
import { type Database, type DatabaseTransaction, ROWS_PER_INSERT } from '../database.ts';
import { getOperation, getSpec, type LockedDeployment, lockExisting } from '../deployment-lock.ts';
import { recordEvents } from '../events.ts';
import { atHome, chooseNodes, chooseSharedNode, type Placer, type Placing } from './choose-nodes.ts';
import { findVolumeNode, placeVolumes } from './place-volumes.ts';

/** Any number; all who reserve take this lock, so they read what the others have reserved. */
const PLACEMENT_LOCK = 7_302_451;

/** A step of an operation that reserves. */
export interface Reservation {
  readonly deployment: LockedDeployment;
  readonly operationId: string;
  readonly batch: number;
  readonly starts: ReserveInput['starts'];
  readonly avoid?: readonly string[] | undefined;
  readonly back?: boolean | undefined;
}

/** Chooses nodes for further replicas of an operation and reserves their capacity. */
export async function reserveReplicas(
  db: Database,
  { deploymentId, operationId, batch, starts, avoid, back }: ReserveInput,
  rules: PlacementRules,
): Promise<PlannedReplica[]> {
  return await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    const reserved = await listReserved(tx, { deploymentId, operationId, batch });
    if (reserved.length > 0) return reserved;
    return await reserve(tx, { deployment, operationId, batch, starts, avoid, back }, rules);
  });
}

/** What a step has reserved already. */
export async function listReserved(
  tx: DatabaseTransaction,
  { deploymentId, operationId, batch }: OperationRef & { readonly batch: number },
): Promise<PlannedReplica[]> {
  return await tx
    .selectFrom('replicas')
    .select(['replica_id as replicaId', 'service', 'revision', 'index', 'node_id as nodeId'])
    .where('deployment_id', '=', deploymentId)
    .where('operation_id', '=', operationId)
    .where('batch', '=', batch)
    .orderBy('index')
    .execute();
}

/** Reserves in the caller's transaction. @throws INSUFFICIENT_CAPACITY, NO_NODE_READY */
export async function reserve(
  tx: DatabaseTransaction,
  { deployment, operationId, batch, starts, avoid = [], back = false }: Reservation,
  rules: PlacementRules,
): Promise<PlannedReplica[]> {
  if (starts.length === 0) return [];
  await sql`SELECT pg_advisory_xact_lock(${PLACEMENT_LOCK})`.execute(tx);
  const placings: Placing[] = [];
  for (const start of starts) placings.push({ ...start, ...(await getService(tx, deployment.id, start)) });
  const volumes = [...new Set(placings.flatMap((placing) => placing.volumes))];
  const carriedTo = await findCarryTarget(tx, operationId);
  const home = carriedTo === undefined ? await findVolumeNode(tx, deployment, volumes) : carriedTo;
  const newest = Math.max(...starts.map(({ revision }) => revision));
  const { placement: policy = ANYWHERE } = await getSpec(tx, deployment.id, newest);
  const asked = await getOperation(tx, operationId);
  const placer: Placer = { deployment, operation: back ? { ...asked, move: null } : asked, policy, avoid };
  const chosen = placings.some(({ sharesNode }) => sharesNode)
    ? await chooseSharedNode(tx, placer, { placings, home }, rules)
    : home === null
      ? null
      : atHome(home);
  const planned: PlannedReplica[] = [];
  let reason = chosen?.why ?? '';
  for (const placing of placings) {
    const { placed, why } = await place(tx, placer, { placing, nodeId: chosen?.nodeId ?? null }, rules);
    if (!chosen) reason = why;
    await insert(tx, { deployment, operationId, batch, service: placing.service, placed });
    planned.push(...placed);
  }
  const [first] = planned;
  if (first) await placeVolumes(tx, deployment, { names: volumes, nodeId: first.nodeId });
  if (first && carriedTo === null) await placeCarries(tx, { operationId, nodeId: first.nodeId });
  const message = `${describePlacement(planned.map(({ nodeId }) => nodeId))} (${reason})`;
  await recordEvents(tx, deployment, [{ kind: 'replica.placed', message, operationId }]);
  return planned;
}

async function getService(
  tx: DatabaseTransaction,
  deploymentId: string,
  { service: name, revision }: { readonly service: string; readonly revision: number },
): Promise<Pick<Placing, 'service' | 'sharesNode' | 'volumes'>> {
  const spec = await getSpec(tx, deploymentId, revision);
  const service = servicesOf(spec).find((one) => one.name === name);
  if (service) return { service, sharesNode: isCompose(spec), volumes: volumeNames(spec) };
  throw new Error(`revision ${revision} has no service ${name}`);
}

async function place(
  tx: DatabaseTransaction,
  placer: Placer,
  { placing, nodeId }: { readonly placing: Placing; readonly nodeId: string | null },
  rules: PlacementRules,
): Promise<{ readonly placed: PlannedReplica[]; readonly why: string }> {
  const { service, revision, count } = placing;
  const { assignments, why } = await chooseNodes(tx, placer, { placing, only: nodeId }, rules);
  const from = await takeIndexes(tx, placer.deployment.id, { revision, count });
  const placed = assignments.map((nodeId, position) => {
    const index = from + position;
    return { replicaId: replicaId(revision, index), service: service.name, revision, index, nodeId };
  });
  return { placed, why };
}

/** Indexes are given once and never again. @returns the first of them. */
async function takeIndexes(
  tx: DatabaseTransaction,
  deploymentId: string,
  { revision, count }: { readonly revision: number; readonly count: number },
): Promise<number> {
  const { next_index: next } = await tx
    .updateTable('revisions')
    .set((eb) => ({ next_index: eb('next_index', '+', count) }))
    .where('deployment_id', '=', deploymentId)
    .where('number', '=', revision)
    .returning('next_index')
    .executeTakeFirstOrThrow();
  return next - count;
}

async function insert(
  tx: DatabaseTransaction,
  of: {
    readonly deployment: LockedDeployment;
    readonly operationId: string;
    readonly batch: number;
    readonly service: ServiceSpec;
    readonly placed: readonly PlannedReplica[];
  },
): Promise<void> {
  const { cpuCores, memoryBytes } = of.service.limits;
  const rows = of.placed.map((replica) => ({
    deployment_id: of.deployment.id,
    replica_id: replica.replicaId,
    service: replica.service,
    revision: replica.revision,
    index: replica.index,
    node_id: replica.nodeId,
    operation_id: of.operationId,
    batch: of.batch,
    state: 'starting' as const,
    cpu_cores: cpuCores,
    memory_bytes: memoryBytes,
  }));
  for (let from = 0; from < rows.length; from += ROWS_PER_INSERT) {
    await tx
      .insertInto('replicas')
      .values(rows.slice(from, from + ROWS_PER_INSERT))
      .execute();
  }
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
