import type { Readable } from 'node:stream';
import type { PresentImage } from '../../domain/container.ts';
import { DomainError, isDomainError, notFound } from '../../domain/errors.ts';
import { toLoadableImage } from '../sources/image-archive.ts';
import { answerOf, type DockerConnection, statusOf } from './connection.ts';
import { createFindImage } from './find-image.ts';
import { readJsonLines } from './json-lines.ts';
import type { OwnImages } from './own-images.ts';
import { imageUnavailable } from './registry-calls.ts';
import { createStallGuard } from './stall.ts';

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
export interface CarriedImages {
  /** Finds an image that was built for this deployment; one of another deployment is not found. */
  findBuiltImage(of: BuiltImageRef): Promise<PresentImage | undefined>;
  /**
   * Streams an image as an archive; reads no faster than it is consumed.
   *
   * @throws NOT_FOUND unless it was built for this deployment; NODE_UNAVAILABLE when nothing comes or is taken for 3 min.
   */
  exportImage(of: BuiltImageRef, signal: AbortSignal): AsyncGenerator<Uint8Array>;
  /**
   * Loads an image from what another node sends, and gives it its tag. Nothing but this image gets in, under no other
   * name, see `adapters/sources/image-archive.ts`. Safe to run twice: layers that are there are not stored again.
   *
   * @throws IMAGE_UNAVAILABLE (final) when something else was sent; NODE_UNAVAILABLE when nothing comes for 3 min;
   * whatever `chunks` fail with.
   */
  loadImage(of: BuiltImageRef & { readonly tag: string }, from: CarriedArchive): Promise<PresentImage>;
}

/** What is sent, and how to hear of it. */
export interface CarriedArchive {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
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
  const findBuiltImage: CarriedImages['findBuiltImage'] = async ({ deploymentId, imageId }) => {
    const found = await find(imageId, '');
    if (found?.ownerDeploymentId !== deploymentId) return undefined;
    own.used(found.imageId);
    return { imageId: found.imageId, digest: found.imageId };
  };
  return {
    findBuiltImage,
    exportImage: async function* (of, signal) {
      const found = await findBuiltImage(of);
      if (!found) throw notFound('image');
      const guard = createStallGuard(CARRY_SILENCE_MS, signal);
      const image = docker.client.getImage(found.imageId);
      try {
        const options = { timeoutMs: CARRY_SILENCE_MS, signal: guard.signal };
        const stream = (await docker.call(`export image ${of.imageId}`, () => image.get(), options)) as Readable;
        guard.signal.addEventListener('abort', () => stream.destroy(), { once: true });
        for await (const chunk of stream) {
          guard.seen();
          yield chunk as Uint8Array;
          guard.seen();
        }
      } catch (error) {
        throw guard.stalled() ? stalled(of) : error;
      } finally {
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

async function load(
  docker: DockerConnection,
  of: BuiltImageRef,
  { chunks, signal, onBytes }: CarriedArchive,
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
  const archive = toLoadableImage(watched(), of.imageId);
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
  return imageUnavailable(imageId, `docker does not load what was sent: ${answer}`, 'Deploy again.');
}
