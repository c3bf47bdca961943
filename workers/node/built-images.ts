import { createEnsureBuiltImage, type EnsureBuiltImage } from '../../activities/built-images.ts';
import type { ControlClient } from '../../adapters/control-client/control-client.ts';
import type { Docker } from '../../adapters/docker/docker.ts';
import type { ArrivingFiles } from '../../adapters/files/arriving-files.ts';
import { createLimiter } from '../../adapters/limits/limiter.ts';
import type { BuildRegistry } from './build-registry.ts';
import { createImageArrival } from './image-arrival.ts';

/** What built images are got with. */
export interface BuiltImagesParts {
  readonly instance: string;
  readonly docker: Docker;
  readonly control: Pick<ControlClient, 'fetchImageSources'>;
  /** `null`: images are carried from node to node. */
  readonly registry: BuildRegistry | null;
  /** Where what other nodes send is kept until it is loaded. */
  readonly files: ArrivingFiles;
}

/** Puts together the way of this node to images that were built on others. */
export function createBuiltImages({ instance, docker, control, registry, files }: BuiltImagesParts): EnsureBuiltImage {
  const inTurn = createLimiter(1);
  return createEnsureBuiltImage({
    ...{ instance, inTurn },
    findBuiltImage: docker.findBuiltImage,
    fetchImageSources: control.fetchImageSources,
    canPull: (reference) => registry?.holds(reference) ?? false,
    pullBuiltImage: (of) => docker.pullBuiltImage({ ...of, credential: registry?.credential ?? null }),
    loadFrom: createImageArrival({ docker, files }),
  });
}
