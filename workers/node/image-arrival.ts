import { join } from 'node:path';
import type { BuiltImagePorts, ImageHolder } from '../../activities/built-images.ts';
import type { Docker } from '../../adapters/docker/docker.ts';
import { createStallGuard } from '../../adapters/docker/stall.ts';
import {
  type ArrivedPart,
  type ArrivingFiles,
  createArrivingFiles,
  type Room,
} from '../../adapters/files/arriving-files.ts';
import { describeImage, type ImagePart, openImage } from '../../adapters/node-client/open-export.ts';
import type { PresentImage } from '../../domain/container.ts';
import { DomainError, type ErrorCode, isDomainError } from '../../domain/errors.ts';

/** A daemon writes a whole image to its disk before it sends the first byte of it: a minute for 10 GiB, on a slow one. */
const SILENCE_MS = 3 * 60_000;

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
  await files.append(name, receive(holder, of, { skip, from }), { group: groupOf(of), onBytes });
  const image = await docker.loadImage(of, { chunks: files.read(name), signal: of.signal, skip });
  await files.remove(name);
  return image;
}

/** What the other node sends. @throws NODE_UNAVAILABLE when nothing comes for 3 min; as {@link openImage} */
async function* receive(
  holder: ImageHolder,
  { deploymentId, imageId, signal }: Omit<Wanted, 'onBytes'>,
  part: ImagePart,
): AsyncGenerator<Uint8Array> {
  const guard = createStallGuard(SILENCE_MS, signal);
  try {
    for await (const chunk of openImage({ ...holder, deploymentId, imageId }, guard.signal, part)) {
      guard.seen();
      yield chunk;
      guard.seen();
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!guard.stalled()) throw error;
    const message = `image ${imageId} is not carried on: nothing came from node ${holder.nodeId} for ${SILENCE_MS / 60_000} min`;
    throw new DomainError('NODE_UNAVAILABLE', message, { hint: 'Look at the nodes with "obiente nodes".' });
  } finally {
    guard.stop();
  }
}

/** What the names of all files about one image begin with. */
function groupOf({ imageId }: Pick<Wanted, 'imageId'>): string {
  return `${imageId.replace(/^sha256:/, '')}-`;
}
