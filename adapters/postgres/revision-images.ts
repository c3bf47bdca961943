import type { DatabaseTransaction } from './database.ts';

/** The image to which a service of a revision is pinned. */
export interface PinnedImage {
  readonly service: string;
  readonly revision: number;
  readonly digest: string;
}

/** Pins services of revisions to digests; one that is pinned stays as it is. @returns those that this call pinned. */
export async function pinImages(
  tx: DatabaseTransaction,
  deploymentId: string,
  images: readonly PinnedImage[],
): Promise<readonly PinnedImage[]> {
  if (images.length === 0) return [];
  const rows = images.map(({ service, revision, digest }) => {
    return { deployment_id: deploymentId, revision, service, image_digest: digest };
  });
  return await tx
    .insertInto('revision_images')
    .values(rows)
    .onConflict((conflict) => conflict.columns(['deployment_id', 'revision', 'service']).doNothing())
    .returning(['service', 'revision', 'image_digest as digest'])
    .execute();
}

/** The images of a revision's services, as far as they are pinned. */
export async function listImages(
  tx: DatabaseTransaction,
  deploymentId: string,
  revision: number,
): Promise<readonly PinnedImage[]> {
  return await tx
    .selectFrom('revision_images')
    .select(['service', 'revision', 'image_digest as digest'])
    .where('deployment_id', '=', deploymentId)
    .where('revision', '=', revision)
    .orderBy('service')
    .execute();
}
