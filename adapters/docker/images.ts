import type { NamedImage } from '../../contracts/rollout.ts';
import type { PresentImage } from '../../domain/container.ts';
import { type DockerConnection, statusOf } from './connection.ts';
import { createFindImage, type FindImage } from './find-image.ts';
import { parseImageReference } from './image-reference.ts';
import { isContainerdStore } from './image-store.ts';
import { createNamedImages, type NamedImages, type Puller } from './named-images.ts';
import type { OwnImages } from './own-images.ts';
import type { PullRecords } from './pull-records.ts';
import { recordPulls } from './recorded-images.ts';
import { createRegistryCalls, imageUnavailable, nameOf } from './registry-calls.ts';

/** What may stand in a path of the daemon's API: no `..`, no leading dash, nothing that needs escaping. */
const SAFE_REFERENCE = /^(?!.*\.\.)[a-zA-Z0-9][a-zA-Z0-9._/:@-]*$/;

/** The images of one daemon. */
export interface DockerImages {
  /**
   * Makes an image present for the tenant of a deployment.
   *
   * A digest to which the revision is pinned is used where it is, and pulled where it is not: the revision's first
   * replica was given it. Without one the registry is asked, unless the image is there and this tenant was given it
   * before, see `domain/image-access.ts`. What a credential brought is kept by its digest only and under no tag, so no
   * build and no other tenant comes upon it by a name that can be guessed.
   *
   * Safe to run twice. A built image of another deployment counts as unknown, whatever name it is asked for by.
   *
   * @throws IMAGE_UNAVAILABLE (final) with the registry's answer; whatever `fetchCredential` throws.
   */
  ensureImage(wanted: NamedImage, options: EnsureImageOptions): Promise<PresentImage>;
  /** Removes the images that carry all of these labels; one in use is left. */
  removeImages(labels: Readonly<Record<string, string>>): Promise<void>;
}

/** For whom an image is made present, and how to hear of its progress. */
export interface EnsureImageOptions extends Puller {
  /** Whose replica will run it. */
  readonly deploymentId: string;
  /** Finds Docker's `sha256:…` of the image that an earlier attempt for the same replica came to: it is taken again. */
  readonly findEarlierImageId?: (() => Promise<string | undefined>) | undefined;
}

/** What the images of a daemon are seen with. */
export interface DockerImagesDeps {
  readonly instance: string;
  readonly records: PullRecords;
  readonly own: OwnImages;
  /** Silence after which a call to a registry counts as hung, milliseconds. */
  readonly registrySilenceMs: number;
}

/** Creates the part of the adapter that deals with images. */
export function createDockerImages(docker: DockerConnection, deps: DockerImagesDeps): DockerImages {
  const find = createFindImage(docker, deps.instance);
  const named = createNamedImages({
    find,
    registry: recordPulls(createRegistryCalls(docker, deps.registrySilenceMs), { docker, own: deps.own }),
    records: deps.records,
    digestsTellNothing: () => isContainerdStore(docker),
  });
  return {
    ensureImage: async (wanted, options) => {
      const { reference } = wanted;
      if (!SAFE_REFERENCE.test(reference)) throw unavailable(reference, 'that is no image reference');
      const found = await ensureNamed({ find, named }, wanted, options);
      if (found.ownerDeploymentId !== undefined && found.ownerDeploymentId !== options.deploymentId) {
        throw unavailable(reference, 'no such image');
      }
      deps.own.used(found.imageId);
      return { imageId: found.imageId, digest: found.digest };
    },
    removeImages: async (labels) => {
      const filters = { label: Object.entries(labels).map(([name, value]) => `${name}=${value}`) };
      const images = await docker.call('list images', (abortSignal) =>
        docker.client.listImages({ filters, abortSignal }),
      );
      for (const image of images) await remove(docker, image.Id);
    },
  };
}

async function ensureNamed(
  { find, named }: { find: FindImage; named: NamedImages },
  wanted: NamedImage,
  { findEarlierImageId, ...puller }: EnsureImageOptions,
) {
  const reference = parseImageReference(wanted.reference);
  if (wanted.digest !== null) return await named.ensurePinned(reference, wanted.digest, puller);
  const { repository, tag, digest } = reference;
  const findEarlier = async () => {
    const imageId = await findEarlierImageId?.();
    return imageId === undefined ? undefined : await find(imageId, repository);
  };
  const present = find(nameOf({ repository, version: digest ?? tag }), repository);
  const [earlier, held] = await Promise.all([findEarlier(), present]);
  return earlier ?? (await named.ensureFirst(reference, { policy: wanted.pullPolicy, present: held }, puller));
}

async function remove(docker: DockerConnection, imageId: string): Promise<void> {
  try {
    await docker.call(`remove image ${imageId}`, (abortSignal) =>
      docker.client.getImage(imageId).remove({ force: true, abortSignal }),
    );
  } catch (error) {
    // 404: somebody else removed it. 409: a container runs it, and takes it along when it goes.
    if (statusOf(error) !== 404 && statusOf(error) !== 409) throw error;
  }
}

function unavailable(name: string, answer: string) {
  return imageUnavailable(name, answer, 'Check the name, and that this node can pull it.');
}
