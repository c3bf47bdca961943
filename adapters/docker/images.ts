import type { WantedImage } from '../../contracts/rollout.ts';
import type { PresentImage } from '../../domain/container.ts';
import { DomainError, isDomainError } from '../../domain/errors.ts';
import { LABEL } from '../../domain/naming.ts';
import { answerOf, type DockerConnection, statusOf } from './connection.ts';
import { type ImageReference, isDigestOf, parseImageReference } from './image-reference.ts';
import { readJsonLines } from './json-lines.ts';
import { createStallGuard } from './stall.ts';

/** A pull that says nothing for this long has hung: a registry's slowest answer takes three tries of 15 s each. */
const PULL_SILENCE_MS = 120_000;

/** What may stand in a path of the daemon's API: no `..`, no leading dash, nothing that needs escaping. */
const SAFE_REFERENCE = /^(?!.*\.\.)[a-zA-Z0-9][a-zA-Z0-9._/:@-]*$/;

/** The images of one daemon. */
export interface DockerImages {
  /**
   * Makes an image present. One that is there already is used as it is, without asking a registry.
   *
   * Safe to run twice. A built image of another deployment counts as unknown, whatever name it is asked for by.
   *
   * @param deploymentId whose replica will run it.
   * @throws IMAGE_UNAVAILABLE (final) with the registry's answer.
   */
  ensureImage(wanted: WantedImage, options: EnsureImageOptions): Promise<PresentImage>;
  /** Removes the images that carry all of these labels; one in use is left. */
  removeImages(labels: Readonly<Record<string, string>>): Promise<void>;
}

/** For whom an image is made present, and how to hear of its progress. */
export interface EnsureImageOptions {
  readonly deploymentId: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (status: string) => void;
}

interface ImageFacts extends PresentImage {
  readonly ownerDeploymentId: string | undefined;
}

interface PullMessage {
  readonly status?: string;
  readonly id?: string;
  readonly error?: string;
}

/** Creates the part of the adapter that deals with images. */
export function createDockerImages(docker: DockerConnection, instance: string): DockerImages {
  const find = async (name: string, repository: string): Promise<ImageFacts | undefined> => {
    try {
      const found = await docker.call(`look for image ${name}`, () => docker.impatient.getImage(name).inspect());
      const repoDigest = found.RepoDigests?.find((entry) => isDigestOf(repository, entry));
      const labels = found.Config?.Labels ?? {};
      const ours = labels[LABEL.instance] === instance;
      return {
        imageId: found.Id,
        digest: repoDigest?.split('@')[1] ?? found.Id,
        ownerDeploymentId: ours ? labels[LABEL.deploymentId] : undefined,
      };
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  };

  const findPinned = async (reference: ImageReference, digest: string): Promise<ImageFacts | undefined> =>
    (await find(`${reference.repository}@${digest}`, reference.repository)) ??
    (await find(digest, reference.repository));

  return {
    ensureImage: async (wanted, options) => {
      if (wanted.kind === 'built') {
        const built = await find(wanted.imageId, '');
        if (!built) throw unavailable(wanted.imageId, 'it is not on this node any more', 'Deploy again to rebuild it.');
        return { imageId: built.imageId, digest: built.imageId };
      }
      if (!SAFE_REFERENCE.test(wanted.reference)) throw unavailable(wanted.reference, 'that is no image reference');
      const reference = parseImageReference(wanted.reference);
      const digest = wanted.digest ?? reference.digest;
      const look = () => (digest ? findPinned(reference, digest) : find(wanted.reference, reference.repository));
      let found = await look();
      if (!found) {
        await pull(docker, reference, digest, options);
        found = await look();
      }
      if (!found) throw unavailable(wanted.reference, 'the registry sent another image than was asked for');
      if (found.ownerDeploymentId !== undefined && found.ownerDeploymentId !== options.deploymentId) {
        throw unavailable(wanted.reference, 'no such image');
      }
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

async function pull(
  docker: DockerConnection,
  reference: ImageReference,
  digest: string | null,
  { signal, onProgress }: EnsureImageOptions,
): Promise<void> {
  const { repository } = reference;
  const name = digest ? `${repository}@${digest}` : `${repository}:${reference.tag}`;
  const guard = createStallGuard(PULL_SILENCE_MS, signal);
  try {
    const request = { fromImage: repository, tag: digest ?? reference.tag, abortSignal: guard.signal };
    const stream = await docker.call(`pull image ${name}`, () => docker.client.createImage(request), {
      timeoutMs: PULL_SILENCE_MS,
      signal: guard.signal,
    });
    for await (const message of readJsonLines<PullMessage>(stream as AsyncIterable<Buffer>, guard.seen)) {
      if (message.error) throw unavailable(name, message.error);
      if (message.status) onProgress?.(`${message.status}${message.id ? ` ${message.id}` : ''}`);
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (guard.stalled()) throw unavailable(name, `nothing was received for ${PULL_SILENCE_MS / 1000} s`);
    if (isDomainError(error) && statusOf(error) === undefined) throw error;
    if (statusOf(error) !== undefined) throw unavailable(name, answerOf(error));
    throw new DomainError('DOCKER_UNAVAILABLE', `cannot pull image ${name}: docker broke off`, { cause: error });
  } finally {
    guard.stop();
  }
}

function unavailable(
  name: string,
  answer: string,
  hint = 'Check the name, and that the registry lets this node pull it.',
) {
  return new DomainError('IMAGE_UNAVAILABLE', `cannot get image ${name}: ${answer}`, { hint });
}
