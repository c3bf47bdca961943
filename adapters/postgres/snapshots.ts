import { randomUUID } from 'node:crypto';
import type { SnapshotContent } from '../../contracts/volumes.ts';
import { DomainError, notFound } from '../../domain/errors.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { claimMutation, type Mutation, nameTaken } from './mutation-keys.ts';
import { type CreatedPage, isAfter } from './page.ts';
import type { SnapshotState } from './schema-volumes.ts';
import { selectVolumes, type VolumePlace, type VolumeRecord } from './volumes.ts';

/** A snapshot of a volume. */
export interface SnapshotRecord {
  readonly id: string;
  readonly projectId: string;
  readonly volumeId: string;
  readonly volumeName: string;
  /** Which copy of the volume it is of, see `domain/naming.ts`. */
  readonly volumeCopy: number;
  readonly nodeId: string;
  readonly state: SnapshotState;
  /** `null` until it is whole; so is the hash. */
  readonly sizeBytes: number | null;
  readonly sha256: string | null;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  readonly removing: boolean;
  readonly createdAt: Date;
}

/** A change within a project. */
type InProject = Mutation & { readonly organizationId: string; readonly projectId: string };

function selectSnapshots(db: Database | DatabaseTransaction) {
  return db
    .selectFrom('volume_snapshots')
    .select(['id', 'project_id as projectId', 'volume_id as volumeId', 'volume_name as volumeName'])
    .select('volume_copy as volumeCopy')
    .select(['node_id as nodeId', 'state', 'size_bytes as sizeBytes', 'sha256', 'removing', 'created_at as createdAt'])
    .select(['error_code as errorCode', 'error_message as errorMessage']);
}

/**
 * Records that a snapshot is to be taken.
 *
 * @throws INVALID_ARGUMENT for a volume that has no data yet or is not whole, NOT_FOUND, IDEMPOTENCY_CONFLICT.
 */
export async function createSnapshot(
  db: Database,
  { organizationId, projectId, name, ...mutation }: InProject & VolumePlace,
): Promise<SnapshotRecord> {
  return await db.transaction().execute(async (tx) => {
    const claim = await claimMutation(tx, { ...mutation, scope: organizationId, resourceId: randomUUID() });
    if (claim.isFirst) {
      const found = selectVolumes(tx).where('volumes.project_id', '=', projectId).where('volumes.name', '=', name);
      const volume = await found.forShare('volumes').executeTakeFirst();
      if (!volume) throw notFound('volume');
      const { nodeId, copy } = volume;
      if (nodeId === null || volume.removing || volume.restoringFrom !== null) throw notWhole(volume);
      const owner = { organization_id: organizationId, project_id: projectId, node_id: nodeId };
      const of = { volume_id: volume.id, volume_name: name, volume_copy: copy, state: 'running' as const };
      await tx
        .insertInto('volume_snapshots')
        .values({ id: claim.resourceId, ...owner, ...of })
        .execute();
    }
    const snapshot = await selectSnapshots(tx).where('id', '=', claim.resourceId).executeTakeFirst();
    if (!snapshot) throw notFound('snapshot');
    return snapshot;
  });
}

function notWhole({ name, nodeId, removing }: VolumeRecord): DomainError {
  const state = nodeId === null ? 'has no data yet' : removing ? 'is being removed' : 'is not restored';
  return new DomainError('INVALID_ARGUMENT', `cannot take a snapshot of volume ${name}: it ${state}`, {
    field: 'name',
  });
}

/** Lists the snapshots of a project, or of one volume of it, oldest first. */
export async function listSnapshots(
  db: Database,
  { projectId, volumeName, limit, after }: CreatedPage & { projectId: string; volumeName: string | undefined },
): Promise<SnapshotRecord[]> {
  return await selectSnapshots(db)
    .where('project_id', '=', projectId)
    .$if(volumeName !== undefined, (query) => query.where('volume_name', '=', volumeName ?? ''))
    .$if(after !== undefined, (query) => (after ? query.where(isAfter('volume_snapshots', after)) : query))
    .orderBy('created_at')
    .orderBy('id')
    .limit(limit)
    .execute();
}

/** A volume that is being made, and of what. */
export interface BegunRestore {
  readonly volume: VolumeRecord;
  readonly content: SnapshotContent;
}

/**
 * Records that a new volume is to be made of a snapshot. The snapshot is locked, so nobody deletes it in between.
 *
 * @throws NAME_TAKEN, NOT_FOUND, INVALID_ARGUMENT for a snapshot that is not whole, IDEMPOTENCY_CONFLICT.
 */
export async function beginRestore(
  db: Database,
  { organizationId, projectId, snapshotId, name, ...mutation }: InProject & VolumePlace & { snapshotId: string },
): Promise<BegunRestore> {
  return await db.transaction().execute(async (tx) => {
    const claim = await claimMutation(tx, { ...mutation, scope: organizationId, resourceId: randomUUID() });
    const { sizeBytes, sha256, nodeId, removing } = await lockSnapshot(tx, { projectId, snapshotId });
    if (sizeBytes === null || sha256 === null || removing) {
      const message = `cannot restore snapshot ${snapshotId}: it is ${removing ? 'being removed' : 'not whole'}`;
      throw new DomainError('INVALID_ARGUMENT', message, { field: 'snapshot_id' });
    }
    if (claim.isFirst) {
      const owner = { organization_id: organizationId, project_id: projectId, node_id: nodeId };
      const created = await tx
        .insertInto('volumes')
        .values({ id: claim.resourceId, name, restoring_from: snapshotId, ...owner })
        .onConflict((conflict) => conflict.columns(['project_id', 'name']).doNothing())
        .returning('id')
        .executeTakeFirst();
      if (!created) throw nameTaken(name, 'the project');
    }
    const volume = await selectVolumes(tx).where('volumes.id', '=', claim.resourceId).executeTakeFirst();
    if (!volume) throw notFound('volume');
    return { volume, content: { sizeBytes, sha256 } };
  });
}

/**
 * Deletes a snapshot: its node removes the file. A repeated call succeeds.
 *
 * @returns the node that has something to remove; `null` when a repeated call finds it removed.
 * @throws NOT_FOUND, IDEMPOTENCY_CONFLICT; STILL_USED while it is being taken, or a volume is being made of it.
 */
export async function deleteSnapshot(
  db: Database,
  { organizationId, projectId, snapshotId, ...mutation }: InProject & { readonly snapshotId: string },
): Promise<{ readonly nodeId: string | null }> {
  return await db.transaction().execute(async (tx) => {
    const { isFirst } = await claimMutation(tx, { ...mutation, scope: organizationId, resourceId: snapshotId });
    if (!isFirst) {
      const left = await selectSnapshots(tx).where('id', '=', snapshotId).executeTakeFirst();
      return { nodeId: left?.nodeId ?? null };
    }
    const { state, nodeId } = await lockSnapshot(tx, { projectId, snapshotId });
    const restores = tx.selectFrom('volumes').select('name').where('restoring_from', '=', snapshotId);
    const restore = await restores.where('restore_error', 'is', null).executeTakeFirst();
    if (restore || state === 'running') {
      const use = restore ? `volume ${restore.name} is being made of it` : 'it is being taken';
      throw new DomainError('STILL_USED', `cannot delete snapshot ${snapshotId}: ${use}`, { field: 'snapshot_id' });
    }
    await tx.updateTable('volume_snapshots').set({ removing: true }).where('id', '=', snapshotId).execute();
    return { nodeId };
  });
}

async function lockSnapshot(
  tx: DatabaseTransaction,
  { projectId, snapshotId }: { readonly projectId: string; readonly snapshotId: string },
): Promise<SnapshotRecord> {
  const found = selectSnapshots(tx).where('id', '=', snapshotId).where('project_id', '=', projectId).forUpdate();
  const snapshot = await found.executeTakeFirst();
  if (!snapshot) throw notFound('snapshot');
  return snapshot;
}
