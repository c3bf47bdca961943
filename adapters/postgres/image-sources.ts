import { notFound } from '../../domain/errors.ts';
import type { Database, DatabaseTransaction } from './database.ts';

/** An image that was built for a deployment, and who asks for it. */
export interface WantedSources {
  readonly deploymentId: string;
  readonly imageId: string;
  readonly nodeId: string;
}

/** A node that has an image. */
export interface ImageHolder {
  readonly nodeId: string;
  readonly gatewayUrl: string;
  /** Whether it is known not to answer. */
  readonly isLost: boolean;
}

/** Where an image is. */
export interface ImageSources {
  /** Where it was pushed to; `null` when it was not. */
  readonly reference: string | null;
  /** The builder first, then those that were given it, oldest first. */
  readonly holders: readonly ImageHolder[];
}

/** More of them than this are no help to somebody who could not get it from the first ones. */
const MOST_HOLDERS = 5;

/**
 * Says where a node gets a built image, and remembers that it was told, since it then most likely has it too.
 *
 * @throws NOT_FOUND unless the node holds a replica of a service that is pinned to this image.
 */
export async function findImageSources(db: Database, wanted: WantedSources): Promise<ImageSources> {
  return await db.transaction().execute(async (tx) => {
    if (!(await mayRun(tx, wanted))) throw notFound('image');
    const { deploymentId, imageId, nodeId } = wanted;
    const builds = await tx
      .selectFrom('builds')
      .select(['node_id', 'reference'])
      .where('deployment_id', '=', deploymentId)
      .where('image_id', '=', imageId)
      .orderBy('finished_at')
      .execute();
    const copies = await tx
      .selectFrom('image_copies')
      .select('node_id')
      .where('deployment_id', '=', deploymentId)
      .where('image_id', '=', imageId)
      .orderBy('given_at')
      .execute();
    const ids = [...new Set([...builds, ...copies].map(({ node_id }) => node_id))].filter((id) => id !== nodeId);
    await tx
      .insertInto('image_copies')
      .values({ deployment_id: deploymentId, image_id: imageId, node_id: nodeId })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    const holders = await readHolders(tx, ids.slice(0, MOST_HOLDERS));
    return { reference: builds.find(({ reference }) => reference !== null)?.reference ?? null, holders };
  });
}

/** A right to one replica is a right to its image, and to no other of the deployment. */
async function mayRun(tx: DatabaseTransaction, { deploymentId, imageId, nodeId }: WantedSources): Promise<boolean> {
  const replica = await tx
    .selectFrom('replicas')
    .innerJoin('revision_images', (join) =>
      join
        .onRef('revision_images.deployment_id', '=', 'replicas.deployment_id')
        .onRef('revision_images.revision', '=', 'replicas.revision')
        .onRef('revision_images.service', '=', 'replicas.service'),
    )
    .select('replicas.replica_id')
    .where('replicas.deployment_id', '=', deploymentId)
    .where('replicas.node_id', '=', nodeId)
    .where('revision_images.image_digest', '=', imageId)
    .limit(1)
    .executeTakeFirst();
  return replica !== undefined;
}

async function readHolders(tx: DatabaseTransaction, ids: readonly string[]): Promise<ImageHolder[]> {
  if (ids.length === 0) return [];
  const nodes = await tx
    .selectFrom('nodes')
    .select(['id', 'gateway_url as gatewayUrl', 'state'])
    .where('id', 'in', ids)
    .execute();
  return ids.flatMap((nodeId) => {
    const node = nodes.find(({ id }) => id === nodeId);
    return node ? [{ nodeId, gatewayUrl: node.gatewayUrl, isLost: node.state === 'lost' }] : [];
  });
}
