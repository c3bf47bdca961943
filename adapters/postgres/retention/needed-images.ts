import type { FindNeededImagesInput } from '../../../contracts/retention.ts';
import type { Database } from '../database.ts';
import { isOneOfTexts } from '../page.ts';
import { staying } from './staying.ts';

/**
 * Says which of a node's images are needed, by image id: those to which a revision that stays is pinned, those that
 * were built for one, and those that a recorded replica runs.
 */
export async function findNeededImages(
  db: Database,
  { images, ...scope }: FindNeededImagesInput,
): Promise<readonly string[]> {
  const wanted = [...new Set(images.flatMap(({ imageId, digests }) => [imageId, ...digests]))];
  const pinned = await db
    .selectFrom('revision_images')
    .select(['deployment_id as deploymentId', 'revision', 'image_digest as digest'])
    .distinct()
    .where(isOneOfTexts('image_digest', wanted))
    .execute();
  const built = await db
    .selectFrom('builds')
    .select(['deployment_id as deploymentId', 'revision'])
    .select((eb) => eb.ref('image_id').$notNull().as('digest'))
    .where(isOneOfTexts('image_id', wanted))
    .execute();
  const running = await db
    .selectFrom('replicas')
    .select((eb) => eb.ref('image_digest').$notNull().as('digest'))
    .distinct()
    .where(isOneOfTexts('image_digest', wanted))
    .execute();
  const stays = await staying(db, scope, [...pinned, ...built]);
  const needed = new Set([...stays, ...running].map(({ digest }) => digest));
  const isNeeded = (one: FindNeededImagesInput['images'][number]): boolean =>
    [one.imageId, ...one.digests].some((digest) => needed.has(digest));
  return images.filter(isNeeded).map(({ imageId }) => imageId);
}
