import { sql } from 'kysely';
import type { StoreActivities } from '../../contracts/activities.ts';
import type { PlannedReplica, RolloutPlan } from '../../contracts/rollout.ts';
import { DomainError } from '../../domain/errors.ts';
import { ONLY_SERVICE } from '../../domain/spec.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { lockExisting } from './deployment-lock.ts';
import { recordEvents } from './events.ts';
import { pinImages } from './revision-images.ts';

/** A service of a revision. */
interface ServiceOfRevision {
  readonly deploymentId: string;
  readonly revision: number;
  readonly service: string;
}

/**
 * Says of every service of a plan whose image is still to be built which node does it, and remembers that.
 *
 * The node of its first replica; where that has no place before an old one has gone, the node of that old one.
 *
 * @throws NO_NODE_READY
 */
export async function planBuilds(
  tx: DatabaseTransaction,
  deployment: { readonly id: string; readonly organizationId: string },
  { plan, reserved, operationId }: { plan: RolloutPlan; reserved: readonly PlannedReplica[]; operationId: string },
): Promise<RolloutPlan['services']> {
  const services = [];
  for (const service of plan.services) {
    const { template, source, imageDigest } = service;
    const isBuilt = source.kind !== 'image' && imageDigest === null;
    const candidates = [...reserved, ...plan.existing.filter(({ nodeLost }) => !nodeLost)];
    const nodeId = candidates.find((replica) => replica.service === template.service)?.nodeId;
    if (isBuilt && nodeId === undefined) throw nobodyBuilds(template.serviceName);
    if (!isBuilt || nodeId === undefined) services.push(service);
    else {
      const of = { deploymentId: deployment.id, revision: template.revision, service: template.service };
      const message = `building the image${nameOf(template.service)} on ${nodeId}`;
      const isNew = await insertBuild(tx, { ...of, nodeId, operationId });
      if (isNew) await recordEvents(tx, deployment, [{ kind: 'build.started', message, operationId }]);
      services.push({ ...service, buildNodeId: nodeId });
    }
  }
  return services;
}

async function insertBuild(
  tx: DatabaseTransaction,
  build: ServiceOfRevision & { readonly nodeId: string; readonly operationId: string },
): Promise<boolean> {
  const { deploymentId: deployment_id, revision, service, nodeId: node_id, operationId: operation_id } = build;
  const inserted = await tx
    .insertInto('builds')
    .values({ deployment_id, revision, service, node_id, operation_id })
    .onConflict((conflict) => conflict.doNothing())
    .returning('revision')
    .executeTakeFirst();
  return inserted !== undefined;
}

/** Records a build's result, and pins the revision's service to it. */
export async function recordBuild(
  db: Database,
  { deploymentId, operationId, service, revision, imageId, detected }: Parameters<StoreActivities['recordBuild']>[0],
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    await tx
      .updateTable('builds')
      .set({ image_id: imageId, finished_at: sql<Date>`now()` })
      .where('deployment_id', '=', deploymentId)
      .where('revision', '=', revision)
      .where('service', '=', service)
      .where('image_id', 'is', null)
      .execute();
    const pinned = await pinImages(tx, deploymentId, [{ service, revision, digest: imageId }]);
    if (pinned.length === 0) return;
    const message = `image${nameOf(service)} of revision ${revision} is built: ${imageId}`;
    const found = detected === undefined ? [] : [{ kind: 'build.detected', message: detected, operationId } as const];
    await recordEvents(tx, deployment, [...found, { kind: 'build.finished', message, operationId }]);
  });
}

/** The node that has the image of a service of a revision, or is to build it; `null` while nobody is chosen. */
export async function findBuildNode(
  tx: DatabaseTransaction,
  { deploymentId, revision, service }: ServiceOfRevision,
): Promise<string | null> {
  const build = await tx
    .selectFrom('builds')
    .leftJoin('revision_images', (join) =>
      join.onRef('revision_images.image_digest', '=', 'builds.image_id').on('revision_images.service', '=', service),
    )
    .select('node_id')
    .where('builds.deployment_id', '=', deploymentId)
    .where((eb) =>
      eb.or([
        eb.and([eb('builds.revision', '=', revision), eb('builds.service', '=', service)]),
        eb.and([eb('revision_images.deployment_id', '=', deploymentId), eb('revision_images.revision', '=', revision)]),
      ]),
    )
    .orderBy('builds.finished_at')
    .limit(1)
    .executeTakeFirst();
  return build?.node_id ?? null;
}

/** The service in words, where there is more than one. */
export function nameOf(service: string): string {
  return service === ONLY_SERVICE ? '' : ` of ${service}`;
}

function nobodyBuilds(name: string): DomainError {
  return new DomainError('NO_NODE_READY', `cannot build the image of ${name}: no node is ready`, {
    hint: 'Look at the nodes with "obiente nodes", then deploy again.',
  });
}
