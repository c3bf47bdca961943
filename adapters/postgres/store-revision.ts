import type { DeployRequest, RollbackRequest, UpdateRequest } from '../../contracts/deployment.ts';
import { changeSpec, isUnread, readAnew, toStored } from '../../domain/compose-origin.ts';
import { DomainError } from '../../domain/errors.ts';
import { OPEN_STATES } from '../../domain/operation.ts';
import { type DeploymentSpec, isCompose, ONLY_SERVICE, servicesOf } from '../../domain/spec.ts';
import { checkVolumes } from '../../domain/volumes.ts';
import { claimVolumes, inProject } from './claim-volumes.ts';
import { readCurrent } from './current-goal.ts';
import type { DatabaseTransaction } from './database.ts';
import { getSpec, type LockedDeployment } from './deployment-lock.ts';
import { checkKept } from './kept-revisions.ts';
import { listImages, pinImages } from './revision-images.ts';
import { copySources } from './revision-sources.ts';

/** What was stored. */
export interface StoredRevision {
  readonly spec: DeploymentSpec;
  /** The revision that it is a copy of. */
  readonly copyOf: number | null;
}

/**
 * Stores the next revision of a deployment whose row the transaction holds.
 *
 * An update is applied to the newest revision as it is now, so changes that were accepted during a build are kept; one
 * that names no source stays at the commit of that revision. One from a repository whose Compose file is still to be read
 * gets its services then. A rollback copies spec, commits and images, and so needs no
 * build, no registry and no Git server.
 *
 * @throws NOT_FOUND (no such revision to return to), NOT_DEPLOYED (it never ran), INVALID_ARGUMENT.
 */
export async function storeRevision(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  request: DeployRequest | UpdateRequest | RollbackRequest,
): Promise<StoredRevision> {
  const number = deployment.revision + 1;
  const { spec, copyOf } = await specOf(tx, deployment, request);
  checkVolumes(spec);
  await claimVolumes(tx, deployment, spec);
  await tx
    .with('newest', (db) => db.updateTable('deployments').set({ revision: number }).where('id', '=', deployment.id))
    .insertInto('revisions')
    .values({
      deployment_id: deployment.id,
      number,
      spec: JSON.stringify(spec),
      operation_id: request.operationId,
      copy_of: copyOf,
    })
    .execute();
  if (copyOf !== null) await copyImages(tx, deployment.id, { from: copyOf, to: number, spec });
  const sameSource = copyOf ?? (keepsSource(request) ? deployment.revision : null);
  if (sameSource !== null) await copySources(tx, deployment.id, { from: sameSource, to: number });
  return { spec, copyOf };
}

function keepsSource(request: DeployRequest | UpdateRequest | RollbackRequest): boolean {
  return request.kind === 'update' && request.change.replace.source === undefined && request.freshSource !== true;
}

async function specOf(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  request: DeployRequest | UpdateRequest | RollbackRequest,
): Promise<{ readonly spec: DeploymentSpec; readonly copyOf: number | null }> {
  const replicas = await wantedReplicas(tx, deployment);
  if (request.kind === 'deploy') {
    const { spec } = request;
    if (isCompose(spec)) return { spec: inProject(spec, deployment.name), copyOf: null };
    return { spec: toStored({ ...spec, replicas: spec.replicas ?? replicas.get(ONLY_SERVICE) ?? 1 }), copyOf: null };
  }
  if (request.kind === 'update') {
    const newest = await getSpec(tx, deployment.id, deployment.revision);
    const base = request.freshSource === true ? readAnew(newest) : newest;
    const changed = changeSpec(withReplicas(base, replicas), request.change);
    const isNewSource = request.change.replace.source !== undefined && !isCompose(changed);
    return { spec: isNewSource ? toStored(changed) : changed, copyOf: null };
  }
  const copyOf = request.toRevision ?? (await previousRevision(tx, deployment));
  await checkKept(tx, deployment, copyOf);
  return { spec: withReplicas(await getSpec(tx, deployment.id, copyOf), replicas), copyOf };
}

/**
 * By service, how many replicas are wanted once everything that was accepted so far has been carried out: those that
 * were reached last, unless the newest revision or a scale is still to come.
 */
async function wantedReplicas(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
): Promise<ReadonlyMap<string, number>> {
  if (deployment.revision === 0) return new Map();
  const newest = servicesOf(await getSpec(tx, deployment.id, deployment.revision));
  const { services: reached } = await readCurrent(tx, deployment);
  const open = await tx
    .selectFrom('operations')
    .select(['revision', 'scale_service', 'scale_replicas'])
    .where('deployment_id', '=', deployment.id)
    .where('state', 'in', OPEN_STATES)
    .orderBy('sequence')
    .execute();
  const wanted = new Map([...newest, ...reached].map(({ name, replicas }) => [name, replicas]));
  for (const operation of open) {
    if (operation.revision === deployment.revision) for (const { name, replicas } of newest) wanted.set(name, replicas);
    if (operation.scale_service !== null) wanted.set(operation.scale_service, operation.scale_replicas ?? 0);
  }
  return wanted;
}

function withReplicas(spec: DeploymentSpec, present: ReadonlyMap<string, number>): DeploymentSpec {
  if (!isCompose(spec)) return { ...spec, replicas: present.get(ONLY_SERVICE) ?? spec.replicas };
  const services = spec.services.map((service) => {
    return { ...service, replicas: present.get(service.name) ?? service.replicas };
  });
  return { ...spec, services };
}

/** The newest revision before the current one that came up. */
async function previousRevision(tx: DatabaseTransaction, deployment: LockedDeployment): Promise<number> {
  const previous = await tx
    .selectFrom('revisions')
    .innerJoin('operations', 'operations.id', 'revisions.operation_id')
    .select('number as revision')
    .where('revisions.deployment_id', '=', deployment.id)
    .where('operations.state', '=', 'succeeded')
    .where('number', '<', deployment.currentRevision)
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (previous) return previous.revision;
  throw new DomainError('NOT_DEPLOYED', 'cannot roll back: there is no earlier revision that came up', {
    field: 'to_revision',
    hint: 'Name the revision; "obiente history" lists them.',
  });
}

async function copyImages(
  tx: DatabaseTransaction,
  deploymentId: string,
  { from, to, spec }: { readonly from: number; readonly to: number; readonly spec: DeploymentSpec },
): Promise<void> {
  const images = await listImages(tx, deploymentId, from);
  const pinned = new Set(images.map(({ service }) => service));
  if (isUnread(spec) || !servicesOf(spec).every(({ name }) => pinned.has(name))) {
    throw new DomainError('NOT_DEPLOYED', `cannot roll back to revision ${from}: it never ran, so it has no image`, {
      field: 'to_revision',
      hint: 'Choose a revision that came up; "obiente history" lists them.',
    });
  }
  await pinImages(
    tx,
    deploymentId,
    images.map((image) => ({ ...image, revision: to })),
  );
}
