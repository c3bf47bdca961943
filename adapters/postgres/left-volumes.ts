import { randomUUID } from 'node:crypto';
import type { DeploymentSpec } from '../../domain/spec.ts';
import { leftName, volumeNames } from '../../domain/volumes.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { getSpec, type LockedDeployment, type StoredOperation } from './deployment-lock.ts';
import { recordEvents } from './events.ts';
import { isOneOfTexts } from './page.ts';
import { selectVolumes, type VolumeRecord } from './volumes.ts';

/** Whose volumes are looked at. */
type Owner = Pick<LockedDeployment, 'projectId' | 'name'>;

/** Volumes of a deployment on lost nodes, or on one that is taken for lost. */
function selectLost(
  db: Database | DatabaseTransaction,
  { projectId }: Owner,
  names: readonly string[],
  nodeId?: string,
) {
  return selectVolumes(db)
    .innerJoin('nodes', 'nodes.id', 'volumes.node_id')
    .select(['volumes.writer_deployment_id', 'volumes.writer_service'])
    .where('volumes.project_id', '=', projectId)
    .where(isOneOfTexts('volumes.name', names))
    .where((eb) => (nodeId === undefined ? eb('nodes.state', '=', 'lost') : eb('nodes.id', '=', nodeId)))
    .orderBy('volumes.name');
}

/**
 * Whether a deployment may begin elsewhere with empty volumes when a node is lost that has its own: its policy says so,
 * and nobody else mounts them, who would find them empty as well.
 */
export async function mayBeginEmpty(
  db: Database | DatabaseTransaction,
  owner: Owner,
  { spec, nodeId }: { readonly spec: DeploymentSpec; readonly nodeId: string },
): Promise<boolean> {
  if (spec.placement?.lostVolumes !== 'begin-empty') return false;
  return isOnlyOurs(owner, await selectLost(db, owner, volumeNames(spec), nodeId).execute());
}

function isOnlyOurs(owner: Owner, volumes: readonly Pick<VolumeRecord, 'mountedBy'>[]): boolean {
  return volumes.every(({ mountedBy }) => mountedBy.every((name) => name === owner.name));
}

/**
 * Leaves the volumes of what is healed on their lost nodes, where its policy says so: each gets another name, and an empty
 * one without a place its own. So no two copies of a name are ever written, and nothing that was written is lost. A repeated
 * call finds them left.
 *
 * @returns whether any is left.
 */
export async function leaveVolumes(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  { id: operationId, kind }: StoredOperation,
): Promise<boolean> {
  if (kind !== 'heal') return false;
  if (await ofOperation(tx, operationId).executeTakeFirst()) return true;
  const spec = await getSpec(tx, deployment.id, deployment.currentRevision || deployment.revision);
  if (spec.placement?.lostVolumes !== 'begin-empty') return false;
  const lost = await selectLost(tx, deployment, volumeNames(spec)).forUpdate('volumes').execute();
  if (!isOnlyOurs(deployment, lost) || lost.some(({ removing }) => removing)) return false;
  for (const { id: volume_id, name, nodeId, writer_deployment_id, writer_service } of lost) {
    const left = await freeName(tx, deployment.projectId, name);
    const { organizationId: organization_id, projectId: project_id } = deployment;
    await rename(tx, volume_id, { name: left, writer_deployment_id: null, writer_service: null });
    const successor_id = randomUUID();
    const whose = { organization_id, project_id, writer_deployment_id, writer_service };
    await tx
      .insertInto('volumes')
      .values({ id: successor_id, name, ...whose })
      .execute();
    await tx.insertInto('left_volumes').values({ volume_id, successor_id, operation_id: operationId }).execute();
    const message = `volume ${name} begins empty; what it held stays on ${nodeId}, which is lost, as ${left}`;
    await recordEvents(tx, deployment, [{ kind: 'volume.left', message, operationId }]);
  }
  return lost.length > 0;
}

function ofOperation(tx: DatabaseTransaction, operationId: string) {
  return tx.selectFrom('left_volumes').selectAll().where('operation_id', '=', operationId).orderBy('volume_id');
}

/** Has the volumes of an operation be called what they were before it, unless what it started serves: that has written since. */
export async function returnLeft(tx: DatabaseTransaction, operationId: string): Promise<void> {
  const left = await ofOperation(tx, operationId).where('returned', '=', false).execute();
  if (left.length === 0) return;
  const serving = tx.selectFrom('replicas').select('replica_id').where('operation_id', '=', operationId);
  if (await serving.where('serving', '=', true).executeTakeFirst()) return;
  for (const { volume_id, successor_id } of left) {
    const named = await tx
      .selectFrom('volumes')
      .select(['id', 'name', 'removing', 'writer_deployment_id', 'writer_service'])
      .where((eb) => eb('id', 'in', [volume_id, successor_id]))
      .orderBy('name')
      .forUpdate()
      .execute();
    const before = named.find(({ id }) => id === volume_id);
    const after = named.find(({ id }) => id === successor_id);
    // Who deletes what was left has the successor for the volume from then on.
    if (!before || !after || before.removing) continue;
    const nobodys = { writer_deployment_id: null, writer_service: null };
    const { name, writer_deployment_id, writer_service } = after;
    await rename(tx, successor_id, { name: randomUUID(), ...nobodys });
    await rename(tx, volume_id, { name, writer_deployment_id, writer_service });
    await rename(tx, successor_id, { name: before.name, ...nobodys });
    await tx.updateTable('left_volumes').set({ returned: true }).where('volume_id', '=', volume_id).execute();
  }
}

/** Ends what an operation left: where it went back, what it began with is to go. Otherwise all of it stays. */
export async function settleLeft(tx: DatabaseTransaction, operationId: string): Promise<void> {
  const returned = await ofOperation(tx, operationId).where('returned', '=', true).execute();
  for (const { successor_id } of returned) {
    const { node_id, copy } = await tx
      .deleteFrom('volumes')
      .where('id', '=', successor_id)
      .returning(['node_id', 'copy'])
      .executeTakeFirstOrThrow();
    if (node_id === null) continue;
    await tx.insertInto('volume_leftovers').values({ volume_id: successor_id, copy, node_id }).execute();
  }
  await tx.deleteFrom('left_volumes').where('operation_id', '=', operationId).execute();
}

async function rename(
  tx: DatabaseTransaction,
  id: string,
  to: {
    readonly name: string;
    readonly writer_deployment_id: string | null;
    readonly writer_service: string | null;
  },
): Promise<void> {
  await tx.updateTable('volumes').set(to).where('id', '=', id).execute();
}

/** A name that no volume of the project has. */
async function freeName(tx: DatabaseTransaction, projectId: string, name: string): Promise<string> {
  for (let number = 1; ; number += 1) {
    const left = leftName(name, number);
    const taken = tx.selectFrom('volumes').select('id').where('project_id', '=', projectId).where('name', '=', left);
    if (!(await taken.executeTakeFirst())) return left;
  }
}
