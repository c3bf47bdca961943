import type { Readable } from 'node:stream';
import type { PresentImage } from '../../domain/container.ts';
import { DomainError, isDomainError, notFound } from '../../domain/errors.ts';
import { toLoadableImage } from '../sources/image-archive.ts';
import { createSavedLayersCache, withoutLayers } from '../sources/saved-image.ts';
import { createStallGuard, type StallGuard } from '../streams/stall-guard.ts';
import { answerOf, type DockerConnection, statusOf } from './connection.ts';
import { createFindImage } from './find-image.ts';
import { createImageLayers, type ImageLayers } from './image-layers.ts';
import { readJsonLines } from './json-lines.ts';
import type { OwnImages } from './own-images.ts';
import { imageUnavailable } from './registry-calls.ts';

/** A daemon writes a whole image to its disk before it sends the first byte of it: a minute for 10 GiB, on a slow one. */
const CARRY_SILENCE_MS = 3 * 60_000;

/** Bounded by progress; this only ends what no progress could. */
const CARRY_TIMEOUT_MS = 6 * 3_600_000;

/** An image that was built for a deployment. */
export interface BuiltImageRef {
  readonly deploymentId: string;
  /** Docker's `sha256:…`. */
  readonly imageId: string;
}

/** Built images on their way from daemon to daemon. */
export interface CarriedImages extends Pick<ImageLayers, 'countPresentLayers'> {
  /** Finds an image that was built for this deployment; one of another deployment is not found. */
  findBuiltImage(of: BuiltImageRef): Promise<PresentImage | undefined>;
  /** Says what the layers of an image hold, the lowest first (`sha256:…`). @throws NOT_FOUND as `exportImage` */
  describeLayers(of: BuiltImageRef): Promise<readonly string[]>;
  /**
   * Streams an image as an archive without the content of the lowest `skip` layers; reads no faster than it is consumed.
   * The same image gives the same bytes each time.
   *
   * @throws NOT_FOUND unless it was built for this deployment; NODE_UNAVAILABLE when nothing comes or is taken for 3 min.
   */
  exportImage(of: BuiltImageRef & { readonly skip?: number }, signal: AbortSignal): AsyncGenerator<Uint8Array>;
  /**
   * Loads an image from what another node sends, and gives it its tag. Nothing but this image gets in, under no other
   * name, see `adapters/sources/image-archive.ts`. Safe to run twice: layers that are there are not stored again.
   *
   * @throws IMAGE_UNAVAILABLE (final) when something else was sent; INSUFFICIENT_CAPACITY when the disk is full; NODE_UNAVAILABLE when nothing comes for 3 min;
   * whatever `chunks` fail with.
   */
  loadImage(of: BuiltImageRef & { readonly tag: string }, from: CarriedArchive): Promise<PresentImage>;
}

/** What is sent, and how to hear of it. */
export interface CarriedArchive {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
  /** How many layers, from the lowest on, it need not hold. */
  readonly skip?: number;
  /** Told how many bytes have come so far. */
  readonly onBytes?: (bytes: number) => void;
}

interface LoadMessage {
  readonly stream?: string;
  readonly error?: string;
}

/** Creates the part of the adapter that carries images. */
export function createCarriedImages(
  docker: DockerConnection,
  { instance, own }: { readonly instance: string; readonly own: Pick<OwnImages, 'used'> },
): CarriedImages {
  const find = createFindImage(docker, instance);
  const layers = createImageLayers(docker);
  const savedLayers = createSavedLayersCache();
  const findBuiltImage: CarriedImages['findBuiltImage'] = async ({ deploymentId, imageId }) => {
    const found = await find(imageId, '');
    if (found?.ownerDeploymentId !== deploymentId) return undefined;
    own.used(found.imageId);
    return { imageId: found.imageId, digest: found.imageId };
  };
  const require = async (of: BuiltImageRef): Promise<PresentImage> => {
    const found = await findBuiltImage(of);
    if (found) return found;
    throw notFound('image');
  };
  return {
    findBuiltImage,
    countPresentLayers: layers.countPresentLayers,
    describeLayers: async (of) => await layers.layersOf((await require(of)).imageId),
    exportImage: async function* ({ skip = 0, ...of }, signal) {
      const { imageId } = await require(of);
      const leaving = new AbortController();
      const guard = createStallGuard(CARRY_SILENCE_MS, AbortSignal.any([signal, leaving.signal]));
      const wanted = { imageId, skip, layers: skip === 0 ? [] : await layers.layersOf(imageId) };
      try {
        for await (const chunk of withoutLayers(() => save(docker, imageId, guard), wanted, savedLayers)) {
          guard.seen();
          yield chunk;
          guard.seen();
        }
      } catch (error) {
        throw guard.stalled() ? stalled(of) : error;
      } finally {
        leaving.abort(new Error('the image is sent, or nobody takes it any more'));
        guard.stop();
      }
    },
    loadImage: async ({ tag, ...of }, from) => {
      await load(docker, of, from);
      const loaded = await findBuiltImage(of);
      if (!loaded)
        throw imageUnavailable(of.imageId, 'this node knows it by another id than the one that sent it', HINT);
      await tagAs(docker, of.imageId, tag);
      return loaded;
    },
  };
}

const HINT = 'Let all nodes keep images in the same way (containerd image store or not), or use a registry for builds.';

/** What the daemon writes, from the first byte. */
async function* save(docker: DockerConnection, imageId: string, { signal, seen }: StallGuard) {
  const image = docker.client.getImage(imageId);
  const options = { timeoutMs: CARRY_SILENCE_MS, signal };
  const stream = (await docker.call(`export image ${imageId}`, () => image.get(), options)) as Readable;
  const end = () => stream.destroy();
  signal.addEventListener('abort', end, { once: true });
  try {
    for await (const chunk of stream) {
      seen();
      yield chunk as Uint8Array;
    }
  } finally {
    signal.removeEventListener('abort', end);
  }
}

async function load(
  docker: DockerConnection,
  of: BuiltImageRef,
  { chunks, signal, skip = 0, onBytes }: CarriedArchive,
): Promise<void> {
  const guard = createStallGuard(CARRY_SILENCE_MS, signal);
  let broken: unknown;
  async function* watched(): AsyncGenerator<Uint8Array> {
    let bytes = 0;
    for await (const chunk of chunks) {
      guard.seen();
      bytes += chunk.length;
      onBytes?.(bytes);
      yield chunk;
    }
  }
  const archive = toLoadableImage(watched(), of.imageId, skip);
  archive.once('error', (error) => {
    broken = error;
  });
  try {
    const options = { timeoutMs: CARRY_TIMEOUT_MS, signal: guard.signal };
    const request = { quiet: false, abortSignal: guard.signal };
    const answer = docker.call(`load image ${of.imageId}`, () => docker.client.loadImage(archive, request), options);
    for await (const message of readJsonLines<LoadMessage>((await answer) as AsyncIterable<Buffer>, guard.seen)) {
      if (message.error) throw unloadable(of, message.error);
      await removeStranger(docker, of, message.stream ?? '');
    }
  } catch (error) {
    signal.throwIfAborted();
    if (broken !== undefined) throw broken;
    if (guard.stalled()) throw stalled(of);
    throw isDomainError(error) && statusOf(error) === 400 ? unloadable(of, answerOf(error)) : error;
  } finally {
    guard.stop();
    archive.destroy();
  }
}

/** Daemons that keep images in another way know the same content by another id; nobody would ever ask for that. */
async function removeStranger(docker: DockerConnection, { imageId }: BuiltImageRef, said: string): Promise<void> {
  const [, loadedId] = /^Loaded image ID: (sha256:[0-9a-f]{64})/.exec(said) ?? [];
  if (loadedId === undefined || loadedId === imageId) return;
  await docker.call(`remove image ${loadedId}`, (abortSignal) =>
    docker.client.getImage(loadedId).remove({ abortSignal }),
  );
}

/** Gives an image its tag, without which a daemon's own clean-up would take it for a leftover. */
export async function tagAs(docker: DockerConnection, imageId: string, name: string): Promise<void> {
  const colon = name.lastIndexOf(':');
  const target = { repo: name.slice(0, colon), tag: name.slice(colon + 1) };
  await docker.call(`tag image ${imageId}`, (abortSignal) =>
    docker.client.getImage(imageId).tag({ ...target, abortSignal }),
  );
}

function stalled({ imageId }: BuiltImageRef): DomainError {
  const message = `image ${imageId} is not carried on: nothing moved for ${CARRY_SILENCE_MS / 60_000} min`;
  return new DomainError('NODE_UNAVAILABLE', message, { hint: 'Look at the nodes with "obiente nodes".' });
}

function unloadable({ imageId }: BuiltImageRef, answer: string): DomainError {
  if (answer.includes('no space left on device')) {
    return new DomainError('INSUFFICIENT_CAPACITY', `cannot load image ${imageId}: docker answered "${answer}"`, {
      hint: 'Free disk space on this node, or add a node.',
    });
  }
  return imageUnavailable(imageId, `docker does not load what was sent: ${answer}`, 'Deploy again.');
}
