import type { PresentImage } from '../../domain/container.ts';
import { LABEL } from '../../domain/naming.ts';
import { type DockerConnection, statusOf } from './connection.ts';
import { isDigestOf } from './image-reference.ts';

/** An image that the daemon holds, as it is found under a name. */
export interface StoredImage extends PresentImage {
  /** Whether it has a digest of the repository that it was looked for in: it was pulled from there, or pushed to it. */
  readonly isOfRepository: boolean;
  /** The deployment that it was built for by this installation. */
  readonly ownerDeploymentId: string | undefined;
}

/** Looks for an image by name, digest or id; the repository says which of its digests counts. */
export type FindImage = (name: string, repository: string) => Promise<StoredImage | undefined>;

/** Creates the look. */
export function createFindImage(docker: DockerConnection, instance: string): FindImage {
  return async (name, repository) => {
    try {
      const found = await docker.call(`look for image ${name}`, () => docker.impatient.getImage(name).inspect());
      const repoDigest = found.RepoDigests?.find((entry) => isDigestOf(repository, entry));
      const labels = found.Config?.Labels ?? {};
      const ours = labels[LABEL.instance] === instance;
      return {
        imageId: found.Id,
        digest: repoDigest?.split('@')[1] ?? found.Id,
        isOfRepository: repoDigest !== undefined,
        ownerDeploymentId: ours ? labels[LABEL.deploymentId] : undefined,
      };
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  };
}
