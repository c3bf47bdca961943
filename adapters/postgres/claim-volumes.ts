import { randomUUID } from 'node:crypto';
import { invalidArgument } from '../../domain/errors.ts';
import { OPEN_STATES } from '../../domain/operation.ts';
import type { ServiceGoal } from '../../domain/rollout-goal.ts';
import { type DeploymentSpec, isCompose } from '../../domain/spec.ts';
import { parseVolumeName, volumeNames, volumeWriters } from '../../domain/volumes.ts';
import type { DatabaseTransaction } from './database.ts';
import { getSpec, type LockedDeployment } from './deployment-lock.ts';
import { isOneOfTexts } from './page.ts';

/** How often a volume that is deleted while it is claimed is created anew. */
const ATTEMPTS = 3;

/** A volume of a Compose file becomes one of the project: `data` of the deployment `shop` is `shop-data`. */
export function inProject(spec: DeploymentSpec, deployment: string): DeploymentSpec {
  if (!isCompose(spec)) return spec;
  const services = spec.services.map((service) => {
    if (!service.volumes) return service;
    const volumes = service.volumes.map((mount) => {
      const field = `services.${service.name}.volumes`;
      return { ...mount, volume: parseVolumeName(field, `${deployment}-${mount.volume}`) };
    });
    return { ...service, volumes };
  });
  return { ...spec, services };
}

/**
 * Makes the volumes of a new revision exist, and its services the ones that write them.
 *
 * The rows are locked in the order of their names until the revision is stored, so of two deployments that want to
 * write the same volume one gets it, and nobody deletes a volume that a revision has just named.
 *
 * @throws INVALID_ARGUMENT when another service writes it, or it is being removed.
 */
export async function claimVolumes(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  spec: DeploymentSpec,
): Promise<void> {
  const names = volumeNames(spec);
  if (names.length === 0) return;
  const writers = volumeWriters(spec);
  for (const volume of await lockVolumes(tx, deployment, names)) {
    const service = writers.get(volume.name);
    const field = isCompose(spec) ? `services.${service ?? 'volumes'}` : 'spec.volumes';
    if (volume.removing) throw invalidArgument(field, `${volume.name} is being removed`, 'another volume');
    if (volume.restoringFrom !== null) {
      const finding = volume.restoreError === null ? 'is being restored' : 'could not be restored';
      throw invalidArgument(field, `${volume.name} ${finding}`, 'a volume that is whole');
    }
    if (service === undefined) continue;
    const isOwn = volume.writerId === deployment.id && volume.writerService === service;
    if (volume.writerId !== null && !isOwn) {
      const finding = `${volume.writerService} of ${volume.writerName} writes ${volume.name}`;
      throw invalidArgument(field, finding, 'a volume that nobody else writes, or a read-only mount');
    }
    if (isOwn) continue;
    await tx
      .updateTable('volumes')
      .set({ writer_deployment_id: deployment.id, writer_service: service })
      .where('id', '=', volume.id)
      .execute();
  }
}

async function lockVolumes(tx: DatabaseTransaction, deployment: LockedDeployment, names: readonly string[]) {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const { organizationId: organization_id, projectId: project_id } = deployment;
    await tx
      .insertInto('volumes')
      .values(names.map((name) => ({ id: randomUUID(), organization_id, project_id, name })))
      .onConflict((conflict) => conflict.columns(['project_id', 'name']).doNothing())
      .execute();
    const locked = await tx
      .selectFrom('volumes')
      .leftJoin('deployments', 'deployments.id', 'volumes.writer_deployment_id')
      .select(['volumes.id', 'volumes.name', 'removing', 'writer_service as writerService'])
      .select(['writer_deployment_id as writerId', 'deployments.name as writerName'])
      .select(['restoring_from as restoringFrom', 'restore_error as restoreError'])
      .where('volumes.project_id', '=', project_id)
      .where(isOneOfTexts('volumes.name', names))
      .orderBy('volumes.name')
      .forUpdate('volumes')
      .execute();
    if (locked.length === names.length) return locked;
  }
  throw new Error('volumes are deleted as fast as they are created');
}

/**
 * Lets go of the volumes that a deployment no longer writes, once a goal without them is reached. What its newest
 * revision or an operation that is still to come writes stays its own.
 */
export async function releaseVolumes(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  goal: readonly ServiceGoal[],
): Promise<void> {
  const held = await tx
    .selectFrom('volumes')
    .select(['id', 'name', 'writer_service as service'])
    .where('writer_deployment_id', '=', deployment.id)
    .execute();
  if (held.length === 0) return;
  const open = await tx
    .selectFrom('operations')
    .select('revision')
    .where('deployment_id', '=', deployment.id)
    .where('state', 'in', OPEN_STATES)
    .where('revision', '>', 0)
    .execute();
  const revisions = [...goal, ...open, { revision: deployment.revision }].map(({ revision }) => revision);
  const kept = new Set<string>();
  for (const revision of new Set(revisions)) {
    const writers = volumeWriters(await getSpec(tx, deployment.id, revision));
    for (const [volume, service] of writers) kept.add(`${service}/${volume}`);
  }
  for (const { id, name, service } of held) {
    if (!kept.has(`${service}/${name}`)) await release(tx, id);
  }
}

async function release(tx: DatabaseTransaction, id: string): Promise<void> {
  await tx
    .updateTable('volumes')
    .set({ writer_deployment_id: null, writer_service: null })
    .where('id', '=', id)
    .execute();
}

/** Lets go of all volumes of a deployment that is deleted: they stay. @returns their names. */
export async function orphanVolumes(tx: DatabaseTransaction, deploymentId: string): Promise<readonly string[]> {
  const left = await tx
    .updateTable('volumes')
    .set({ writer_deployment_id: null, writer_service: null })
    .where('writer_deployment_id', '=', deploymentId)
    .returning('name')
    .execute();
  return left.map(({ name }) => name).sort();
}
