import { Context } from '@temporalio/activity';
import type {
  ImageSurvey,
  NodeImageRules,
  NodeRetentionActivities,
  RemovedCache,
  RemoveImagesInput,
} from '../contracts/node-retention.ts';
import type { ImageStay } from '../domain/retention/images.ts';
import { withHeartbeats } from './heartbeats.ts';

/** An image of the platform on this node's daemon; `stays` is `null` when it may go, unless a revision needs it. */
export interface KeptImage {
  readonly imageId: string;
  readonly names: readonly string[];
  readonly digests: readonly string[];
  readonly sizeBytes: number;
  readonly stays: ImageStay | null;
}

/** What retention needs of a node's Docker daemon; `adapters/docker` says what each promises. */
export interface ImageKeeper {
  listOwnImages(rules: NodeImageRules): Promise<readonly KeptImage[]>;
  removeOwnImage(image: KeptImage, rules: NodeImageRules): Promise<boolean>;
  measureImages(): Promise<ImageSizes | undefined>;
  pruneBuildCache(keepBytes: number): Promise<RemovedCache>;
  measureBuildCache(keepBytes: number): Promise<RemovedCache>;
}

/** What images take by the daemon's own account. */
export interface ImageSizes {
  readonly layersBytes: number | null;
  /** By image id: what only this image takes. */
  readonly ownBytes: ReadonlyMap<string, number>;
}

/** Why images stay, as reports say it. */
const WORDS: Record<ImageStay, string> = {
  'not-ours': 'not made or pulled by the platform',
  'also-named-by-others': 'have a name that somebody else gave them',
  'in-use': 'used by a container, or by another image',
  'recently-used': 'made, pulled or asked for of late',
};

/**
 * Creates the activities by which a node rids itself of images that no revision needs.
 *
 * Looking is safe to repeat. So is removing: each image is looked at again before, what is gone already counts as
 * removed, and its bytes are what the daemon says that all layers take less than before the first attempt. Heartbeats
 * tell the image; a cancel is obeyed between two.
 */
export function createRetainImages(keeper: ImageKeeper): NodeRetentionActivities {
  return {
    surveyImages: ({ afterId, limit, rules }) =>
      withHeartbeats({ step: 'look' }, async (): Promise<ImageSurvey> => {
        const own = await keeper.listOwnImages(rules);
        const stays = own.flatMap((image) => image.stays ?? []);
        const page = own.filter((image) => image.stays === null && image.imageId > afterId).slice(0, limit);
        return {
          images: page.map(({ imageId, digests }) => ({ imageId, digests })),
          kept: afterId === '' ? countStays(stays) : {},
          next: page.length < limit ? null : (page.at(-1)?.imageId ?? null),
          layersBytes: (await keeper.measureImages())?.layersBytes ?? null,
        };
      }),
    removeImages: (input) =>
      withHeartbeats({ step: 'remove' }, async (heartbeats) => {
        const own = new Map((await keeper.listOwnImages(input.rules)).map((image) => [image.imageId, image]));
        const stays = input.imageIds.flatMap((id) => own.get(id)?.stays ?? []);
        const goes = input.imageIds.filter((id) => (own.get(id)?.stays ?? null) === null);
        const sizes = await keeper.measureImages();
        const surely = (ids: readonly string[]) => sizes && sumOwn(sizes, ids);
        if (input.isDryRun) {
          return { removed: goes.length, bytesFreed: surely(goes) ?? null, kept: countStays(stays) };
        }
        const removed: string[] = [];
        for (const id of goes) {
          Context.current().cancellationSignal.throwIfAborted();
          heartbeats.report({ step: 'remove', image: id });
          const image = own.get(id);
          if (!image || (await keeper.removeOwnImage(image, input.rules))) removed.push(id);
          else stays.push('in-use');
        }
        const bytesFreed = await freed(keeper, input, { own, surely: surely(removed) });
        return { removed: removed.length, bytesFreed, kept: countStays(stays) };
      }),
    pruneBuildCache: ({ keepBytes, isDryRun }) =>
      withHeartbeats({ step: 'build cache' }, () =>
        isDryRun ? keeper.measureBuildCache(keepBytes) : keeper.pruneBuildCache(keepBytes),
      ),
  };
}

/** What surely goes with images, by the daemon's account; what only they share among themselves comes on top. */
function sumOwn({ ownBytes }: ImageSizes, ids: readonly string[]): number {
  return ids.reduce((sum, id) => sum + (ownBytes.get(id) ?? 0), 0);
}

/**
 * How much less all layers take than before. What others pull meanwhile does not lower it below what surely went, nor
 * does what others remove raise it over what the images had.
 */
async function freed(
  keeper: ImageKeeper,
  { layersBytes, imageIds }: RemoveImagesInput,
  { own, surely }: { readonly own: ReadonlyMap<string, KeptImage>; readonly surely: number | undefined },
): Promise<number | null> {
  const after = (await keeper.measureImages())?.layersBytes ?? null;
  if (layersBytes === null || after === null || surely === undefined) return null;
  const most = imageIds.reduce((sum, id) => sum + (own.get(id)?.sizeBytes ?? Number.POSITIVE_INFINITY), 0);
  return Math.max(surely, Math.min(layersBytes - after, most));
}

function countStays(stays: readonly ImageStay[]): Record<string, number> {
  const groups = Map.groupBy(stays, (stay) => WORDS[stay]);
  return Object.fromEntries([...groups].map(([words, group]) => [words, group.length]));
}
