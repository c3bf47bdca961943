import type { NodeImageRules } from '../../contracts/node-retention.ts';
import { type ImageStay, type LocalImage, whyImageStays } from '../../domain/retention/images.ts';
import { type DockerConnection, statusOf } from './connection.ts';
import { type DiskUsage, readDiskUsage } from './disk-usage.ts';
import type { OwnImages } from './own-images.ts';
import { namesOf } from './recorded-images.ts';

/** An image of the platform on this daemon. */
export interface OwnImage {
  readonly imageId: string;
  /** Tags before digests. */
  readonly names: readonly string[];
  /** Digests under which registries have it. */
  readonly digests: readonly string[];
  readonly sizeBytes: number;
  /** `null`: it may go, unless a revision needs it. */
  readonly stays: ImageStay | null;
}

/** The images of one daemon, as far as they may go. */
export interface DockerImageRetention {
  /** Looks at all images of the daemon, and answers with the platform's own, by id. */
  listOwnImages(rules: NodeImageRules): Promise<readonly OwnImage[]>;
  /**
   * Removes an image by its names, as long as nobody has used it since it was looked at. Docker refuses what a container
   * uses, and nothing is forced.
   *
   * @returns whether it is gone.
   */
  removeOwnImage(image: OwnImage, rules: NodeImageRules): Promise<boolean>;
  /** What images take by the daemon's own account; `undefined` when it does not say, or only too slowly. */
  measureImages(): Promise<DiskUsage | undefined>;
}

/** Creates the part of the adapter that lets images go. */
export function createDockerImageRetention(
  docker: DockerConnection,
  { instance, own }: { readonly instance: string; readonly own: OwnImages },
): DockerImageRetention {
  return {
    listOwnImages: async (rules) => {
      const found: OwnImage[] = [];
      for (const image of await listLocalImages(docker)) {
        const { imageId, names, sizeBytes } = image;
        const lastUsedMs = own.lastUsedMs(image);
        let stays = whyImageStays(
          { ...image, idleMs: Date.now() - lastUsedMs },
          { ...rules, instance, findOwnName: own.find },
        );
        if (stays === 'not-ours') continue;
        if (stays === null) {
          const madeMs = await readMade(docker, imageId, {
            isPulled: lastUsedMs > 0 && names.some((name) => own.find(name)),
          });
          if (Date.now() - madeMs <= rules.imagesMs) stays = 'recently-used';
        }
        found.push({ imageId, names, digests: names.flatMap((name) => name.split('@')[1] ?? []), sizeBytes, stays });
      }
      return found.sort((a, b) => (a.imageId < b.imageId ? -1 : 1));
    },
    removeOwnImage: async (image, rules) => {
      if (Date.now() - own.lastUsedMs(image) <= rules.imagesMs) return false;
      for (const name of image.names.length > 0 ? image.names : [image.imageId]) {
        if (!(await remove(docker, name))) return false;
      }
      const isGone = !(await isThere(docker, image.imageId));
      if (isGone) own.forget(image.names);
      return isGone;
    },
    measureImages: async () => await readDiskUsage(docker, 'image').catch(() => undefined),
  };
}

type Listed = Omit<LocalImage, 'idleMs'> & { readonly sizeBytes: number };

async function listLocalImages(docker: DockerConnection): Promise<Listed[]> {
  const images = await docker.call('list images', (abortSignal) =>
    docker.client.listImages({ all: true, abortSignal }),
  );
  const containers = await docker.call('list containers', (abortSignal) =>
    docker.client.listContainers({ all: true, abortSignal }),
  );
  const inUse = new Set(containers.map(({ ImageID }) => ImageID));
  const parents = new Set(images.map(({ ParentId }) => ParentId));
  const listed = images.map((image) => ({
    imageId: image.Id,
    names: namesOf(image),
    labels: image.Labels ?? {},
    hasContainers: inUse.has(image.Id),
    hasChildren: parents.has(image.Id),
    sizeBytes: image.Size,
  }));
  // What has no name and is built on is a step of a build: it goes with the image that it led to.
  return listed.filter(({ names, hasChildren }) => names.length > 0 || !hasChildren);
}

/**
 * When an image was made here, or named last, milliseconds since 1970. A build that finds all its steps in the cache makes
 * an old image anew by naming it; Docker says when that was. What was pulled was made elsewhere.
 */
async function readMade(
  docker: DockerConnection,
  imageId: string,
  of: { readonly isPulled: boolean },
): Promise<number> {
  try {
    const image = await docker.call(`inspect image ${imageId}`, () => docker.impatient.getImage(imageId).inspect());
    const { LastTagTime = '' } = (image as { Metadata?: { LastTagTime?: string } }).Metadata ?? {};
    const moments = of.isPulled ? [LastTagTime] : [LastTagTime, image.Created];
    return Math.max(0, ...moments.map((moment) => Date.parse(moment) || 0));
  } catch (error) {
    if (statusOf(error) === 404) return 0;
    throw error;
  }
}

/** Removes a name, and with the last one the image with those of its parents that nothing else needs. */
async function remove(docker: DockerConnection, name: string): Promise<boolean> {
  try {
    await docker.call(`remove image ${name}`, (abortSignal) => docker.client.getImage(name).remove({ abortSignal }));
    return true;
  } catch (error) {
    // 404: it went with another name, or somebody else removed it. 409: something uses it after all.
    if (statusOf(error) === 404) return true;
    if (statusOf(error) === 409) return false;
    throw error;
  }
}

async function isThere(docker: DockerConnection, imageId: string): Promise<boolean> {
  try {
    await docker.call(`look for image ${imageId}`, () => docker.impatient.getImage(imageId).inspect());
    return true;
  } catch (error) {
    if (statusOf(error) === 404) return false;
    throw error;
  }
}
