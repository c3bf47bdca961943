import { createEnsureBuiltImage, type EnsureBuiltImage } from '../../activities/built-images.ts';
import type { ControlClient } from '../../adapters/control-client/control-client.ts';
import type { Docker } from '../../adapters/docker/docker.ts';
import { openImage } from '../../adapters/node-client/open-export.ts';
import type { BuildRegistry } from './build-registry.ts';
import { createTurns } from './turns.ts';

/** What built images are got with. */
export interface BuiltImagesParts {
  readonly instance: string;
  readonly docker: Docker;
  readonly control: Pick<ControlClient, 'fetchImageSources'>;
  /** `null`: images are carried from node to node. */
  readonly registry: BuildRegistry | null;
}

/** Puts together the way of this node to images that were built on others. */
export function createBuiltImages({ instance, docker, control, registry }: BuiltImagesParts): EnsureBuiltImage {
  const { inTurn } = createTurns();
  return createEnsureBuiltImage({
    ...{ instance, inTurn },
    findBuiltImage: docker.findBuiltImage,
    fetchImageSources: control.fetchImageSources,
    canPull: (reference) => registry?.holds(reference) ?? false,
    pullBuiltImage: (of) => docker.pullBuiltImage({ ...of, credential: registry?.credential ?? null }),
    loadFrom: async (holder, { signal, onBytes, ...of }) => {
      const leaving = new AbortController();
      try {
        const chunks = openImage({ ...holder, ...of }, AbortSignal.any([signal, leaving.signal]));
        return await docker.loadImage(of, { chunks, signal, onBytes });
      } finally {
        leaving.abort(new Error('the image is here, or is not to come'));
      }
    },
  });
}
