import { sql } from 'kysely';
import type { StoreActivities } from '../../contracts/activities.ts';
import type { PlannedReplica, RolloutPlan } from '../../contracts/rollout.ts';
import { ONLY_SERVICE } from '../../domain/spec.ts';
import { chooseBuilder } from './choose-builder.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { type LockedDeployment, lockExisting } from './deployment-lock.ts';
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
 * The node of its first replica; where that has no place before an old one has gone, the node of that old one; or what
 * {@link chooseBuilder} finds. What
 * there is to tell of the build, that node tells: see `report-build.ts`.
 *
 * @throws as {@link chooseBuilder}
 */
export async function planBuilds(
  tx: DatabaseTransaction,
  deployment: Pick<LockedDeployment, 'id' | 'projectId'>,
  { plan, reserved, operationId }: { plan: RolloutPlan; reserved: readonly PlannedReplica[]; operationId: string },
): Promise<RolloutPlan['services']> {
  const services = [];
  for (const service of plan.services) {
    const { template, source, imageDigest } = service;
    const isBuilt = source.kind !== 'image' && imageDigest === null;
    if (!isBuilt) services.push(service);
    else {
      const all = [...reserved, ...plan.existing.filter(({ nodeLost }) => !nodeLost)];
      const candidates = all.filter((replica) => replica.service === template.service);
      const nodeId = await chooseBuilder(tx, { deployment, plan: service, candidates });
      const of = { deploymentId: deployment.id, revision: template.revision, service: template.service };
      await insertBuild(tx, { ...of, nodeId, operationId });
      services.push({ ...service, buildNodeId: nodeId });
    }
  }
  return services;
}

async function insertBuild(
  tx: DatabaseTransaction,
  build: ServiceOfRevision & { readonly nodeId: string; readonly operationId: string },
): Promise<void> {
  const { deploymentId: deployment_id, revision, service, nodeId: node_id, operationId: operation_id } = build;
  await tx
    .insertInto('builds')
    .values({ deployment_id, revision, service, node_id, operation_id })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Records a build's result, and pins the revision's service to it. */
export async function recordBuild(db: Database, input: Parameters<StoreActivities['recordBuild']>[0]): Promise<void> {
  const { deploymentId, operationId, service, revision, imageId, reference, detected } = input;
  await db.transaction().execute(async (tx) => {
    const deployment = await lockExisting(tx, deploymentId);
    await tx
      .updateTable('builds')
      .set({ state: 'succeeded', image_id: imageId, reference: reference ?? null, finished_at: sql<Date>`now()` })
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

/** Ends the builds of an operation that go on no more. */
export async function endBuilds(
  tx: DatabaseTransaction,
  operationId: string,
  state: 'failed' | 'cancelled',
): Promise<void> {
  await tx
    .updateTable('builds')
    .set({ state, finished_at: sql<Date>`now()` })
    .where('operation_id', '=', operationId)
    .where('finished_at', 'is', null)
    .execute();
}

/** The architecture of the node that built the image of a service of a revision; `null` while nobody has. */
export async function findBuiltFor(
  tx: DatabaseTransaction,
  { deploymentId, revision, service }: ServiceOfRevision,
): Promise<string | null> {
  const found = await tx
    .selectFrom('revision_images')
    .innerJoin('builds', (join) =>
      join
        .onRef('builds.deployment_id', '=', 'revision_images.deployment_id')
        .onRef('builds.image_id', '=', 'revision_images.image_digest'),
    )
    .innerJoin('nodes', 'nodes.id', 'builds.node_id')
    .select('nodes.architecture')
    .where('revision_images.deployment_id', '=', deploymentId)
    .where('revision_images.revision', '=', revision)
    .where('revision_images.service', '=', service)
    .limit(1)
    .executeTakeFirst();
  return found?.architecture ?? null;
}

/** ` of web` where a deployment has several services, and nothing where it has one. */
export function nameOf(service: string): string {
  return service === ONLY_SERVICE ? '' : ` of ${service}`;
}
