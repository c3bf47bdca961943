import { sql } from 'kysely';
import type { MountedVolume } from '../../../contracts/rollout.ts';
import { DomainError, notFound } from '../../../domain/errors.ts';
import type { ServiceSpec } from '../../../domain/spec.ts';
import type { DatabaseTransaction } from '../database.ts';
import type { LockedDeployment } from '../deployment-lock.ts';
import { isOneOfTexts } from '../page.ts';

/** Says which volumes of the platform a service's mounts are. @throws NOT_FOUND */
export async function resolveVolumes(
  tx: DatabaseTransaction,
  { projectId }: LockedDeployment,
  { volumes: mounts = [] }: Pick<ServiceSpec, 'volumes'>,
): Promise<readonly MountedVolume[]> {
  if (mounts.length === 0) return [];
  const names = mounts.map(({ volume }) => volume);
  const found = await tx
    .selectFrom('volumes')
    .leftJoin('volume_carries', (join) =>
      join.onRef('volume_carries.volume_id', '=', 'volumes.id').on('volume_carries.state', '=', 'going'),
    )
    .select(['volumes.id', 'volumes.name'])
    // What is started is started where the volume goes.
    .select(sql<number>`coalesce(volume_carries.to_copy, volumes.copy)`.as('copy'))
    .where('volumes.project_id', '=', projectId)
    .where(isOneOfTexts('volumes.name', names))
    .execute();
  const volumes = new Map(found.map((volume) => [volume.name, volume]));
  return mounts.map(({ volume, path, readOnly }) => {
    const known = volumes.get(volume);
    if (!known) throw notFound(`volume ${volume}`);
    const { id: volumeId, copy } = known;
    return { volumeId, path, readOnly, ...(copy === 0 ? {} : { copy }) };
  });
}

/**
 * The node that holds the data of these volumes; `null` while none of them has a place.
 *
 * @throws NO_NODE_READY when they are on two nodes, on one that is not ready, or on their way with another deployment.
 */
export async function findVolumeNode(
  tx: DatabaseTransaction,
  { id, projectId, name }: LockedDeployment,
  volumes: readonly string[],
): Promise<string | null> {
  if (volumes.length === 0) return null;
  const placed = await tx
    .selectFrom('volumes')
    .innerJoin('nodes', 'nodes.id', 'volumes.node_id')
    .leftJoin('volume_carries', 'volume_carries.volume_id', 'volumes.id')
    .leftJoin('operations', 'operations.id', 'volume_carries.operation_id')
    .select(['volumes.name', 'nodes.id as nodeId', 'nodes.hostname', 'nodes.state'])
    .select('operations.deployment_id as carriedWith')
    .where('volumes.project_id', '=', projectId)
    .where(isOneOfTexts('volumes.name', volumes))
    .orderBy('volumes.name')
    .execute();
  const [first] = placed;
  if (!first) return null;
  const carried = placed.find(({ carriedWith }) => carriedWith !== null && carriedWith !== id);
  if (carried) {
    throw new DomainError('NO_NODE_READY', `cannot place ${name}: its volume ${carried.name} is being moved`, {
      hint: 'Wait until the deployment that it moves with has been moved.',
      mayPass: true,
    });
  }
  const other = placed.find(({ nodeId }) => nodeId !== first.nodeId);
  if (other) {
    const where = `${first.name} is on ${first.hostname}, ${other.name} on ${other.hostname}`;
    throw new DomainError('NO_NODE_READY', `cannot place ${name}: its volumes are on two nodes: ${where}`, {
      hint: 'Mount volumes of one node only.',
    });
  }
  if (first.state === 'ready') return first.nodeId;
  const where = `its volume ${first.name} is on ${first.hostname}, which is ${first.state}`;
  throw new DomainError('NO_NODE_READY', `cannot place ${name}: ${where}`, {
    hint: 'Bring that node back, or deploy with another volume.',
    mayPass: true,
  });
}

/** Records where volumes that had no place yet are from now on. */
export async function placeVolumes(
  tx: DatabaseTransaction,
  { projectId }: LockedDeployment,
  { names, nodeId }: { readonly names: readonly string[]; readonly nodeId: string },
): Promise<void> {
  if (names.length === 0) return;
  await tx
    .updateTable('volumes')
    .set({ node_id: nodeId })
    .where('project_id', '=', projectId)
    .where(isOneOfTexts('name', names))
    .where('node_id', 'is', null)
    .execute();
}
