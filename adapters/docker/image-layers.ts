import { type DockerConnection, statusOf } from './connection.ts';
import { isContainerdStore } from './image-store.ts';

/** The layers of the images that one daemon has. */
export interface ImageLayers {
  /** Hashes of what the layers of an image hold, the lowest first; none when the daemon does not have it. */
  layersOf(imageId: string): Promise<readonly string[]>;
  /**
   * Says how many of these layers, from the lowest on, the daemon has already, each upon the same ones below it: an archive
   * that it loads need not hold them. A daemon with containerd's store wants all of them, always: 0.
   */
  countPresentLayers(layers: readonly string[]): Promise<number>;
}

/** Of a daemon with more images the newest are looked at; what is not found is sent. */
const MOST_IMAGES = 500;

/** Calls to the daemon at a time. */
const AT_A_TIME = 8;

/** Creates the look. What an image consists of never changes, so it is asked for once; that memory is a cache. */
export function createImageLayers(docker: DockerConnection): ImageLayers {
  const cache = new Map<string, readonly string[]>();
  const layersOf = async (imageId: string): Promise<readonly string[]> => {
    try {
      const call = () => docker.impatient.getImage(imageId).inspect();
      return (await docker.call(`look for image ${imageId}`, call)).RootFS?.Layers ?? [];
    } catch (error) {
      if (statusOf(error) === 404) return [];
      throw error;
    }
  };
  const cached = async (imageId: string): Promise<readonly string[]> => {
    const layers = cache.get(imageId) ?? (await layersOf(imageId));
    cache.set(imageId, layers);
    return layers;
  };
  return {
    layersOf,
    countPresentLayers: async (layers) => {
      if (layers.length === 0 || (await isContainerdStore(docker))) return 0;
      const images = await docker.call('list images', () => docker.impatient.listImages());
      const newest = images.sort((one, other) => other.Created - one.Created).slice(0, MOST_IMAGES);
      const ids = newest.map(({ Id }) => Id);
      for (const known of cache.keys()) if (!ids.includes(known)) cache.delete(known);
      let present = 0;
      for (let from = 0; from < ids.length && present < layers.length; from += AT_A_TIME) {
        const found = await Promise.all(ids.slice(from, from + AT_A_TIME).map(cached));
        present = Math.max(present, ...found.map((held) => sameBeginning(layers, held)));
      }
      return present;
    },
  };
}

function sameBeginning(layers: readonly string[], held: readonly string[]): number {
  const differs = layers.findIndex((layer, index) => held[index] !== layer);
  return differs < 0 ? layers.length : differs;
}
