import { join } from 'node:path';
import type { BuiltImagePorts, ImageHolder } from '../../activities/built-images.ts';
import type { Docker } from '../../adapters/docker/docker.ts';
import {
  type ArrivedPart,
  type ArrivingFiles,
  createArrivingFiles,
  type Room,
} from '../../adapters/files/arriving-files.ts';
import { describeImage, openImage } from '../../adapters/node-client/open-export.ts';
import type { PresentImage } from '../../domain/container.ts';
import { type ErrorCode, isDomainError } from '../../domain/errors.ts';

/** Far more layers than an image may have. */
const MOST_LAYERS = 1_000;

/** What comes of a transfer whose file is no use to another attempt: it does not fit, or there is no room for it. */
const IS_IN_VAIN: ReadonlySet<ErrorCode> = new Set(['IMAGE_UNAVAILABLE', 'INSUFFICIENT_CAPACITY']);

type Wanted = Parameters<BuiltImagePorts['loadFrom']>[1];

/** What images arrive with. */
export interface ImageArrivalParts {
  readonly docker: Pick<Docker, 'countPresentLayers' | 'loadImage'>;
  readonly files: ArrivingFiles;
}

/** Opens where images arrive, in the folder of a node's own state, and removes what is of no use there any more. */
export async function openArrivals(stateDir: string, disk: Room): Promise<ArrivingFiles> {
  const files = createArrivingFiles(join(stateDir, 'arriving-images'), disk);
  await files.tidy();
  return files;
}

/** What of an image is asked for. */
interface Transfer {
  readonly name: string;
  readonly skip: number;
  readonly from: ArrivedPart;
}

/**
 * Creates the way of an image from another node to this one's daemon: only the layers that are missing here come, into a
 * file, and a transfer that broke off goes on where it did, by whichever attempt of whichever process. What has come
 * whole is loaded, and the file removed.
 *
 * What turns out not to fit, be it that a layer has gone meanwhile or that the other node sends another archive, is begun
 * anew with less taken for granted, at last with nothing.
 */
export function createImageArrival({ docker, files }: ImageArrivalParts): BuiltImagePorts['loadFrom'] {
  return async (holder, of) => {
    const { deploymentId, imageId, signal } = of;
    const layers = await describeImage({ ...holder, deploymentId, imageId }, signal);
    let skip = layers ? await docker.countPresentLayers(layers.slice(0, MOST_LAYERS)) : 0;
    let goesOn = layers !== undefined;
    for (;;) {
      const name = `${groupOf(of)}${skip}`;
      if (!goesOn) await files.remove(name);
      const from = await files.look(name);
      try {
        return await arrive({ docker, files }, holder, of, { name, skip, from });
      } catch (error) {
        if (!isDomainError(error) || !IS_IN_VAIN.has(error.code)) throw error;
        await files.remove(name);
        if (error.code !== 'IMAGE_UNAVAILABLE') throw error;
        if (from.bytes === 0 && skip === 0) throw error;
        if (from.bytes === 0) skip = 0;
        goesOn = false;
      }
    }
  };
}

async function arrive(
  { docker, files }: ImageArrivalParts,
  holder: ImageHolder,
  { onBytes, ...of }: Wanted,
  { name, skip, from }: Transfer,
): Promise<PresentImage> {
  const { deploymentId, imageId, signal } = of;
  const chunks = openImage({ ...holder, deploymentId, imageId }, signal, { skip, from });
  await files.append(name, chunks, { group: groupOf(of), onBytes });
  const image = await docker.loadImage(of, { chunks: files.read(name), signal, skip });
  await files.remove(name);
  return image;
}

/** What the names of all files about one image begin with. */
function groupOf({ imageId }: Pick<Wanted, 'imageId'>): string {
  return `${imageId.replace(/^sha256:/, '')}-`;
}
