import type { PresentImage } from '../../domain/container.ts';
import { isDomainError } from '../../domain/errors.ts';
import type { RegistryCredential } from '../../domain/registry-credential.ts';
import { type BuiltImageRef, tagAs } from './carried-images.ts';
import type { DockerConnection } from './connection.ts';
import { createFindImage } from './find-image.ts';
import { createRegistryCalls, imageUnavailable } from './registry-calls.ts';

/** Built images in the registry that whoever runs the platform has for them. */
export interface PushedImages {
  /**
   * Pushes an image under `repository:tag`.
   *
   * @returns the reference that stands for exactly this image, `repository@sha256:…`.
   * @throws IMAGE_UNAVAILABLE (final) with the registry's answer.
   */
  pushImage(of: BuiltImageRef & PushTarget): Promise<string>;
  /**
   * Pulls an image by its reference, and gives it its tag on this daemon.
   *
   * @throws IMAGE_UNAVAILABLE (final) with the registry's answer, and when it brings another image.
   */
  pullBuiltImage(of: BuiltImageRef & PullSource): Promise<PresentImage>;
}

/** Where to push. */
export interface PushTarget {
  readonly repository: string;
  readonly tag: string;
  readonly credential: RegistryCredential | null;
  readonly signal: AbortSignal;
  readonly onProgress?: (status: string) => void;
}

/** What to pull, and how to call it. */
export interface PullSource {
  readonly reference: string;
  /** Name on this daemon, with a tag. */
  readonly tag: string;
  readonly credential: RegistryCredential | null;
  readonly signal: AbortSignal;
  readonly onProgress?: (status: string) => void;
}

/** Creates the part of the adapter that deals with the registry of builds. */
export function createPushedImages(
  docker: DockerConnection,
  { instance, registrySilenceMs }: { readonly instance: string; readonly registrySilenceMs: number },
): PushedImages {
  const find = createFindImage(docker, instance);
  const registry = createRegistryCalls(docker, registrySilenceMs);
  return {
    pushImage: async ({ imageId, repository, tag, ...call }) => {
      const name = `${repository}:${tag}`;
      await tagAs(docker, imageId, name);
      try {
        return `${repository}@${await registry.push({ repository, version: tag, ...call })}`;
      } finally {
        await untag(docker, name);
      }
    },
    pullBuiltImage: async ({ deploymentId, imageId, reference, tag, ...call }) => {
      const [repository = '', version = ''] = reference.split('@');
      await registry.pull({ repository, version, ...call });
      const found = await find(imageId, '');
      if (found?.ownerDeploymentId !== deploymentId) {
        throw imageUnavailable(reference, 'the registry sent another image than was pushed', 'Deploy again.');
      }
      await tagAs(docker, imageId, tag);
      return { imageId, digest: imageId };
    },
  };
}

/** The image keeps its own tag; under this name nobody shall come upon it. */
async function untag(docker: DockerConnection, name: string): Promise<void> {
  try {
    await docker.call(`untag ${name}`, (abortSignal) => docker.client.getImage(name).remove({ abortSignal }));
  } catch (error) {
    // A second attempt of the same push may have been quicker; whatever else it is, a name too many is no harm.
    if (!isDomainError(error)) throw error;
  }
}
