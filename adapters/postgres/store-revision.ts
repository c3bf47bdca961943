import type { DeployRequest, RollbackRequest, UpdateRequest } from '../../contracts/deployment.ts';
import { DomainError } from '../../domain/errors.ts';
import { type DeploymentSpec, ONLY_SERVICE, servicesOf } from '../../domain/spec.ts';
import { applyChange } from '../../domain/spec-change.ts';
import type { DatabaseTransaction } from './database.ts';
import { getSpec, type LockedDeployment } from './deployment-lock.ts';
import { checkKept } from './kept-revisions.ts';
import { listImages, pinImages } from './revision-images.ts';

/** What was stored. */
export interface StoredRevision {
  readonly port: number | null;
  /** The revision that it is a copy of. */
  readonly copyOf: number | null;
}

/**
 * Stores the next revision of a deployment whose row the transaction holds.
 *
 * An update is applied to the newest revision as it is now, so changes that were accepted during a build are kept. A
 * rollback copies spec and images, and so needs no build and no registry.
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
  await tx
    .insertInto('revisions')
    .values({
      deployment_id: deployment.id,
      number,
      spec: JSON.stringify(spec),
      operation_id: request.operationId,
      copy_of: copyOf,
    })
    .execute();
  await tx.updateTable('deployments').set({ revision: number }).where('id', '=', deployment.id).execute();
  if (copyOf !== null) await copyImages(tx, deployment.id, { from: copyOf, to: number, spec });
  return { port: spec.port, copyOf };
}

async function specOf(
  tx: DatabaseTransaction,
  deployment: LockedDeployment,
  request: DeployRequest | UpdateRequest | RollbackRequest,
): Promise<{ readonly spec: DeploymentSpec; readonly copyOf: number | null }> {
  const replicas = await wantedReplicas(tx, deployment);
  if (request.kind === 'deploy') {
    return { spec: { ...request.spec, replicas: request.spec.replicas ?? replicas ?? 1 }, copyOf: null };
  }
  if (request.kind === 'update') {
    const newest = await getSpec(tx, deployment.id, deployment.revision);
    const base = { ...newest, replicas: replicas ?? newest.replicas };
    return { spec: applyChange(base, request.change), copyOf: null };
  }
  const copyOf = request.toRevision ?? (await previousRevision(tx, deployment));
  await checkKept(tx, deployment, copyOf);
  const copied = await getSpec(tx, deployment.id, copyOf);
  return { spec: { ...copied, replicas: replicas ?? copied.replicas }, copyOf };
}

/** As many as run of the newest revision, which a scale may have changed; `null` while that one has not come up. */
async function wantedReplicas(tx: DatabaseTransaction, deployment: LockedDeployment): Promise<number | null> {
  if (deployment.revision === 0) return null;
  if (deployment.currentRevision !== deployment.revision) {
    return (await getSpec(tx, deployment.id, deployment.revision)).replicas;
  }
  const service = await tx
    .selectFrom('deployment_services')
    .select('replicas')
    .where('deployment_id', '=', deployment.id)
    .where('name', '=', ONLY_SERVICE)
    .executeTakeFirst();
  return service?.replicas ?? null;
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
  if (!servicesOf(spec).every(({ name }) => pinned.has(name))) {
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
