import { randomUUID } from 'node:crypto';
import { type RawBuilder, type SqlBool, sql } from 'kysely';
import { DomainError, notFound } from '../../domain/errors.ts';
import { OPEN_STATES } from '../../domain/operation.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { claimMutation, type Mutation, nameTaken } from './mutation-keys.ts';
import { type CreatedPage, isAfter } from './page.ts';

/** A volume, and who uses it. */
export interface VolumeRecord {
  readonly id: string;
  readonly organizationId: string;
  readonly projectId: string;
  readonly name: string;
  /** `null` while it has no place. */
  readonly nodeId: string | null;
  readonly writerDeployment: string | null;
  readonly writerService: string | null;
  readonly removing: boolean;
  /** The snapshot that it is made of, until it is whole. */
  readonly restoringFrom: string | null;
  readonly restoreError: string | null;
  /** Which copy its data is, see `domain/naming.ts`. */
  readonly copy: number;
  readonly createdAt: Date;
  /** Names of the deployments that mount it, the first {@link NAMED_USERS}. */
  readonly mountedBy: readonly string[];
}

/** Where a volume is named. */
export interface VolumePlace {
  readonly projectId: string;
  readonly name: string;
}

/** Deployments that an answer names. */
const NAMED_USERS = 100;

/** Deployments that a refusal names. */
const REFUSING_USERS = 5;

/** Whether a revision mounts the volume of the row, as a deployment of one service or of several. */
const MOUNTS_IT: RawBuilder<SqlBool> = sql<SqlBool>`(
  jsonb_path_exists(revisions.spec, '$.volumes[*] ? (@.volume == $name)', jsonb_build_object('name', volumes.name))
  OR jsonb_path_exists(
    revisions.spec, '$.services[*].volumes[*] ? (@.volume == $name)', jsonb_build_object('name', volumes.name)
  )
)`;

/** Names of the deployments that mount the volume of the row: by what runs, what is newest, or what is asked for. */
const USERS = sql<string[]>`ARRAY(
  SELECT deployments.name FROM deployments
  WHERE deployments.project_id = volumes.project_id AND EXISTS (
    SELECT FROM revisions WHERE revisions.deployment_id = deployments.id AND ${MOUNTS_IT} AND (
      revisions.number = deployments.revision
      OR EXISTS (
        SELECT FROM deployment_services
        WHERE deployment_services.deployment_id = deployments.id AND deployment_services.revision = revisions.number
      )
      OR EXISTS (
        SELECT FROM operations
        WHERE operations.deployment_id = deployments.id AND operations.revision = revisions.number
          AND operations.state = ANY(${[...OPEN_STATES]}::text[])
      )
    )
  )
  ORDER BY deployments.name LIMIT ${NAMED_USERS}
)`;

/** Selects volumes with who uses them. */
export function selectVolumes(db: Database | DatabaseTransaction) {
  return db
    .selectFrom('volumes')
    .leftJoin('deployments as writers', 'writers.id', 'volumes.writer_deployment_id')
    .select(['volumes.id', 'volumes.organization_id as organizationId', 'volumes.project_id as projectId'])
    .select(['volumes.name', 'volumes.node_id as nodeId', 'writers.name as writerDeployment'])
    .select(['volumes.writer_service as writerService', 'volumes.removing', 'volumes.created_at as createdAt'])
    .select(['volumes.restoring_from as restoringFrom', 'volumes.restore_error as restoreError', 'volumes.copy'])
    .select(USERS.as('mountedBy'));
}

/**
 * Creates an empty volume.
 *
 * @throws NAME_TAKEN, IDEMPOTENCY_CONFLICT; NOT_FOUND when a repeated call finds its volume deleted.
 */
export async function createVolume(
  db: Database,
  { organizationId, projectId, name, ...mutation }: Mutation & VolumePlace & { readonly organizationId: string },
): Promise<VolumeRecord> {
  return await db.transaction().execute(async (tx) => {
    const claim = await claimMutation(tx, { ...mutation, scope: organizationId, resourceId: randomUUID() });
    if (claim.isFirst) {
      const created = await tx
        .insertInto('volumes')
        .values({ id: claim.resourceId, organization_id: organizationId, project_id: projectId, name })
        .onConflict((conflict) => conflict.columns(['project_id', 'name']).doNothing())
        .returning('id')
        .executeTakeFirst();
      if (!created) throw nameTaken(name, 'the project');
    }
    const volume = await selectVolumes(tx).where('volumes.id', '=', claim.resourceId).executeTakeFirst();
    if (!volume) throw notFound('volume');
    return volume;
  });
}

/** Finds one volume. */
export async function findVolume(db: Database, { projectId, name }: VolumePlace): Promise<VolumeRecord | undefined> {
  const found = selectVolumes(db).where('volumes.project_id', '=', projectId).where('volumes.name', '=', name);
  return await found.executeTakeFirst();
}

/** Lists the volumes of an organization, or of one of its projects, oldest first. */
export async function listVolumes(
  db: Database,
  {
    organizationId,
    projectId,
    limit,
    after,
  }: CreatedPage & { readonly organizationId: string; readonly projectId: string | undefined },
): Promise<VolumeRecord[]> {
  return await selectVolumes(db)
    .where('volumes.organization_id', '=', organizationId)
    .$if(projectId !== undefined, (query) => query.where('volumes.project_id', '=', projectId ?? ''))
    .$if(after !== undefined, (query) => (after ? query.where(isAfter('volumes', after)) : query))
    .orderBy('volumes.created_at')
    .orderBy('volumes.id')
    .limit(limit)
    .execute();
}

/**
 * Deletes a volume that nobody mounts: at once when it has no data yet, else once its node has removed the data. A
 * repeated call finds it deleted and succeeds.
 *
 * The row is locked first, and whoever stores a revision locks it too: so nobody names it in between.
 *
 * @returns the node that has something to remove; `null` when none has.
 * @throws STILL_USED, NOT_FOUND, IDEMPOTENCY_CONFLICT.
 */
export async function deleteVolume(
  db: Database,
  { organizationId, projectId, name, ...mutation }: Mutation & VolumePlace & { readonly organizationId: string },
): Promise<{ readonly nodeId: string | null }> {
  return await db.transaction().execute(async (tx) => {
    const locked = await tx
      .selectFrom('volumes')
      .select(['id', 'node_id as nodeId'])
      .where('project_id', '=', projectId)
      .where('name', '=', name)
      .forUpdate()
      .executeTakeFirst();
    const resourceId = locked?.id ?? randomUUID();
    const { isFirst, ...claim } = await claimMutation(tx, { ...mutation, scope: organizationId, resourceId });
    if (!isFirst) return { nodeId: locked?.id === claim.resourceId ? locked.nodeId : null };
    if (!locked) throw notFound('volume');
    const volume = await selectVolumes(tx).where('volumes.id', '=', locked.id).executeTakeFirstOrThrow();
    if (volume.mountedBy.length > 0) throw inUse(volume);
    if (volume.restoringFrom !== null && volume.restoreError === null) throw busy(volume.name, 'it is being restored');
    if (await isBeingRead(tx, volume.id)) throw busy(volume.name, 'a snapshot of it is being taken');
    await (volume.nodeId === null ? forget(tx, volume.id) : doom(tx, volume.id));
    return { nodeId: volume.nodeId };
  });
}

async function forget(tx: DatabaseTransaction, id: string): Promise<void> {
  await tx.deleteFrom('volumes').where('id', '=', id).execute();
}

async function doom(tx: DatabaseTransaction, id: string): Promise<void> {
  await tx
    .updateTable('volumes')
    .set({ removing: true, writer_deployment_id: null, writer_service: null })
    .where('id', '=', id)
    .execute();
}

function inUse({ name, mountedBy }: VolumeRecord): DomainError {
  const users = mountedBy.slice(0, REFUSING_USERS).join(', ');
  const others = mountedBy.length > REFUSING_USERS ? ` and ${mountedBy.length - REFUSING_USERS} more` : '';
  return new DomainError('STILL_USED', `cannot delete volume ${name}: ${users}${others} mounts it`, {
    field: 'name',
    hint: 'Delete that deployment, or deploy it without the volume, and try again.',
  });
}

function busy(name: string, finding: string): DomainError {
  return new DomainError('STILL_USED', `cannot delete volume ${name}: ${finding}`, {
    field: 'name',
    hint: 'Wait until that has ended, and try again.',
  });
}

async function isBeingRead(tx: DatabaseTransaction, volumeId: string): Promise<boolean> {
  const running = tx.selectFrom('volume_snapshots').select('id').where('volume_id', '=', volumeId);
  return (await running.where('state', '=', 'running').executeTakeFirst()) !== undefined;
}
