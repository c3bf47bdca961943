import type { OperationRef } from '../../contracts/activities.ts';
import type { CarriedVolume } from '../../contracts/rollout.ts';
import { DomainError, notFound } from '../../domain/errors.ts';
import { isLeft } from '../../domain/move.ts';
import type { ServiceGoal } from '../../domain/rollout-goal.ts';
import { servicesOf } from '../../domain/spec.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { getSpec, type LockedDeployment, lockExisting, type StoredOperation } from './deployment-lock.ts';
import { recordEvents } from './events.ts';
import { isOneOfTexts } from './page.ts';
import { selectVolumes, type VolumeRecord } from './volumes.ts';

/**
 * Takes the volumes of what a move is about along, where it shall: gives each the number of its next copy. The node that
 * it goes to is for {@link placeCarries}. A repeated call finds them on their way.
 *
 * The rows are locked as those are by who stores a revision: so nobody else comes to mount one meanwhile.
 *
 * @returns whether any goes along.
 * @throws NO_NODE_READY when another deployment mounts one, or its node does not answer.
 */
export async function beginCarries(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  { id: operationId, move }: StoredOperation,
  goal: readonly ServiceGoal[],
): Promise<boolean> {
  if (move?.volumes !== true) return false;
  if ((await ofOperation(tx, operationId).execute()).length > 0) return true;
  const names = await mountedNames(tx, deployment.id, goal);
  if (names.length === 0) return false;
  const volumes = await selectVolumes(tx)
    .leftJoin('nodes', 'nodes.id', 'volumes.node_id')
    .select(['nodes.state as nodeState', 'volumes.last_copy as lastCopy'])
    .where('volumes.project_id', '=', deployment.projectId)
    .where(isOneOfTexts('volumes.name', names))
    .orderBy('volumes.name')
    .forUpdate('volumes')
    .execute();
  const leaving = volumes.flatMap(({ nodeId, ...volume }) => {
    return nodeId !== null && isLeft(move, nodeId) ? [{ ...volume, nodeId }] : [];
  });
  for (const volume of leaving) {
    const { nodeId, nodeState } = volume;
    const others = volume.mountedBy.filter((name) => name !== deployment.name);
    if (others.length > 0) throw shared(deployment, volume, others);
    if (nodeState !== 'ready') throw unreachable(deployment, volume, `${nodeId}, which is ${nodeState}`);
    const to_copy = volume.lastCopy + 1;
    const from = { from_node: nodeId, from_copy: volume.copy };
    await tx
      .insertInto('volume_carries')
      .values({ volume_id: volume.id, operation_id: operationId, ...from, to_copy })
      .execute();
    await tx.updateTable('volumes').set({ last_copy: to_copy }).where('id', '=', volume.id).execute();
  }
  return leaving.length > 0;
}

/** Names of the volumes that what shall run mounts. */
async function mountedNames(
  tx: DatabaseTransaction,
  deploymentId: string,
  goal: readonly ServiceGoal[],
): Promise<readonly string[]> {
  const names = new Set<string>();
  for (const { name, revision } of goal.filter(({ replicas }) => replicas > 0)) {
    const services = servicesOf(await getSpec(tx, deploymentId, revision));
    for (const { volume } of services.find((service) => service.name === name)?.volumes ?? []) names.add(volume);
  }
  return [...names];
}

function ofOperation(tx: DatabaseTransaction, operationId: string) {
  return tx.selectFrom('volume_carries').selectAll().where('operation_id', '=', operationId).orderBy('volume_id');
}

/** Where the volumes of an operation go: `undefined` when none does, `null` while that is open. */
export async function findCarryTarget(
  tx: DatabaseTransaction,
  operationId: string,
): Promise<string | null | undefined> {
  const [first] = await ofOperation(tx, operationId).where('state', '<>', 'returned').execute();
  return first?.to_node;
}

/** Records where the volumes of an operation go, unless that is known. */
export async function placeCarries(
  tx: DatabaseTransaction,
  { operationId, nodeId }: { readonly operationId: string; readonly nodeId: string },
): Promise<void> {
  await tx
    .updateTable('volume_carries')
    .set({ to_node: nodeId })
    .where('operation_id', '=', operationId)
    .where('to_node', 'is', null)
    .execute();
}

/** Lists the volumes of an operation that are on their way. */
export async function listCarries(
  tx: DatabaseTransaction,
  { projectId }: LockedDeployment,
  operationId: string,
): Promise<CarriedVolume[]> {
  const rows = await ofOperation(tx, operationId).where('state', '=', 'going').execute();
  return rows.flatMap(({ volume_id: volumeId, from_node: from, to_node: to, to_copy: copy }) => {
    return to === null ? [] : [{ volumeId, projectId, from, to, copy }];
  });
}

/** Records that the volumes of an operation have arrived. */
export async function recordCarried(db: Database, { deploymentId, operationId }: OperationRef): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    const going = await ofOperation(tx, operationId).where('state', '=', 'going').execute();
    for (const { volume_id, to_node: node_id, to_copy: copy, from_node } of going) {
      const { name } = await tx
        .updateTable('volumes')
        .set({ node_id, copy })
        .where('id', '=', volume_id)
        .returning('name')
        .executeTakeFirstOrThrow();
      const message = `volume ${name} was carried from ${from_node} to ${node_id}`;
      await recordEvents(tx, deployment, [{ kind: 'volume.carried', message, operationId }]);
    }
    await setState(tx, operationId, 'carried');
  });
}

/**
 * Has the volumes of an operation be where they were before it, unless what it started serves: that has written since.
 * What was not there before is a leftover then.
 */
export async function returnCarries(tx: DatabaseTransaction, operationId: string): Promise<void> {
  const carries = await ofOperation(tx, operationId).where('state', '<>', 'returned').execute();
  if (carries.length === 0) return;
  const serving = tx.selectFrom('replicas').select('replica_id').where('operation_id', '=', operationId);
  if (await serving.where('serving', '=', true).executeTakeFirst()) return;
  for (const { volume_id, from_node: node_id, from_copy: copy } of carries) {
    await tx.updateTable('volumes').set({ node_id, copy }).where('id', '=', volume_id).execute();
  }
  await setState(tx, operationId, 'returned');
}

/** Ends the way of an operation's volumes: of each, the copy that is not the volume is to go. */
export async function settleCarries(tx: DatabaseTransaction, operationId: string): Promise<void> {
  const carries = await ofOperation(tx, operationId).execute();
  for (const { volume_id, state, from_node, from_copy, to_node, to_copy } of carries) {
    const left = state === 'carried' ? { node_id: from_node, copy: from_copy } : { node_id: to_node, copy: to_copy };
    const { node_id, copy } = left;
    if (node_id !== null) await tx.insertInto('volume_leftovers').values({ volume_id, copy, node_id }).execute();
  }
  await tx.deleteFrom('volume_carries').where('operation_id', '=', operationId).execute();
}

async function setState(tx: DatabaseTransaction, operationId: string, state: 'carried' | 'returned'): Promise<void> {
  const carries = tx.updateTable('volume_carries').where('operation_id', '=', operationId);
  await carries.set({ state }).where('state', '<>', 'returned').execute();
}

/** Where a node gets what is in a volume. */
export interface VolumeSource {
  readonly nodeId: string;
  readonly gatewayUrl: string;
  /** Which copy that node has. */
  readonly copy: number;
  /** Whether that node is known not to answer. */
  readonly isLost: boolean;
}

/** Says where a node gets the copy of a volume that it is to make. @throws NOT_FOUND unless the volume is on its way there */
export async function findVolumeSource(
  db: Database,
  { volumeId, copy, nodeId }: { readonly volumeId: string; readonly copy: number; readonly nodeId: string },
): Promise<VolumeSource> {
  const found = await db
    .selectFrom('volume_carries')
    .innerJoin('nodes', 'nodes.id', 'volume_carries.from_node')
    .select(['nodes.id as nodeId', 'nodes.gateway_url as gatewayUrl', 'from_copy as copy', 'nodes.state'])
    .where('volume_id', '=', volumeId)
    .where('to_copy', '=', copy)
    .where('to_node', '=', nodeId)
    .where('volume_carries.state', '=', 'going')
    .executeTakeFirst();
  if (!found) throw notFound('volume');
  const { state, ...source } = found;
  return { ...source, isLost: state === 'lost' };
}

function shared({ name }: LockedDeployment, volume: VolumeRecord, others: readonly string[]): DomainError {
  const message = `cannot move ${name}: ${others.join(', ')} mounts its volume ${volume.name} as well`;
  return new DomainError('NO_NODE_READY', message, {
    hint: 'Deploy those without the volume first; a volume moves with the only deployment that mounts it.',
  });
}

function unreachable({ name }: LockedDeployment, volume: VolumeRecord, where: string): DomainError {
  return new DomainError('NO_NODE_READY', `cannot move ${name}: its volume ${volume.name} is on ${where}`, {
    hint: 'Bring that node back: it has the data.',
    mayPass: true,
  });
}
