import type { ServiceRef } from '../contracts/rollout.ts';
import type { PresentImage } from '../domain/container.ts';
import { DomainError, isDomainError, RETRYABLE } from '../domain/errors.ts';
import { builtImageTag } from '../domain/naming.ts';

/** An image that was built for a revision, and that a replica on this node is to run. */
export interface WantedBuiltImage extends ServiceRef {
  /** Docker's `sha256:…`. */
  readonly imageId: string;
}

/** A node that has an image. */
export interface ImageHolder {
  readonly nodeId: string;
  /** Empty while the node is known not to answer, like the token. */
  readonly gatewayUrl: string;
  /** Good for this image of this node only. */
  readonly token: string;
}

/** Where an image is. */
export interface ImageSources {
  /** Where it was pushed to, `repository@sha256:…`; empty when it was not. */
  readonly reference: string;
  readonly holders: readonly ImageHolder[];
}

type Loading = WantedBuiltImage & { readonly tag: string; readonly signal: AbortSignal };

/** What getting built images needs of the world. */
export interface BuiltImagePorts {
  readonly instance: string;
  findBuiltImage(of: { deploymentId: string; imageId: string }): Promise<PresentImage | undefined>;
  /** @throws NOT_FOUND when the node is to run no such image; NODE_UNAVAILABLE while nobody can be asked. */
  fetchImageSources(of: { deploymentId: string; imageId: string }): Promise<ImageSources>;
  /** Whether this node has what it takes to pull from there. */
  canPull(reference: string): boolean;
  pullBuiltImage(of: Loading & { reference: string; onProgress: (status: string) => void }): Promise<PresentImage>;
  /** Loads the image from what another node sends. */
  loadFrom(holder: ImageHolder, of: Loading & { onBytes: (bytes: number) => void }): Promise<PresentImage>;
  /** Runs tasks about one image one after the other. */
  inTurn<Answer>(imageId: string, task: () => Promise<Answer>): Promise<Answer>;
}

/** How to stop getting an image, and to hear of it. */
export interface GettingImage {
  readonly signal: AbortSignal;
  readonly onProgress: (status: string) => void;
}

/** Makes an image that was built on some node present on this one. */
export type EnsureBuiltImage = (wanted: WantedBuiltImage, getting: GettingImage) => Promise<PresentImage>;

/**
 * Creates the way to built images: what is here is used; else it is pulled from where it was pushed to; else it is
 * carried here from a node that has it. Several replicas that want one image at a time get it once.
 *
 * Never built again: another build is another image, and a revision is one image.
 *
 * The function throws IMAGE_UNAVAILABLE (final) when nobody that answers has it, with what each source said; a retryable
 * error when a source may well answer later; INSUFFICIENT_CAPACITY (final) when this node's disk has no room for it.
 */
export function createEnsureBuiltImage(ports: BuiltImagePorts): EnsureBuiltImage {
  return async (wanted, getting) => {
    const present = await ports.findBuiltImage(wanted);
    if (present) return present;
    return await ports.inTurn(wanted.imageId, async () => {
      getting.signal.throwIfAborted();
      return (await ports.findBuiltImage(wanted)) ?? (await get(wanted, getting, ports));
    });
  };
}

async function get(wanted: WantedBuiltImage, getting: GettingImage, ports: BuiltImagePorts): Promise<PresentImage> {
  const { reference, holders } = await ports.fetchImageSources(wanted);
  const tag = builtImageTag(ports.instance, wanted);
  const loading = { ...wanted, tag, signal: getting.signal };
  const failures: unknown[] = [];
  const attempt = async (from: string, load: () => Promise<PresentImage>): Promise<PresentImage | undefined> => {
    getting.onProgress(`get the image from ${from}`);
    try {
      return await load();
    } catch (error) {
      getting.signal.throwIfAborted();
      if (isDomainError(error) && error.code === 'INSUFFICIENT_CAPACITY') throw error;
      failures.push(error);
      return undefined;
    }
  };
  if (reference !== '' && ports.canPull(reference)) {
    const { onProgress } = getting;
    const pulled = await attempt(reference, () => ports.pullBuiltImage({ ...loading, reference, onProgress }));
    if (pulled) return pulled;
  }
  for (const holder of holders.filter(({ gatewayUrl }) => gatewayUrl !== '')) {
    const onBytes = (bytes: number) => getting.onProgress(`${bytes} bytes of the image from ${holder.nodeId}`);
    const loaded = await attempt(holder.nodeId, () => ports.loadFrom(holder, { ...loading, onBytes }));
    if (loaded) return loaded;
  }
  throw failures.find(mayAnswerLater) ?? nobodyHasIt(wanted, holders, failures);
}

/** A node that does not have it any more says so each time; one that is away is soon told apart from one that is lost. */
function mayAnswerLater(failure: unknown): boolean {
  return !isDomainError(failure) || RETRYABLE[failure.code];
}

function nobodyHasIt(
  { revision }: WantedBuiltImage,
  holders: readonly ImageHolder[],
  failures: readonly unknown[],
): DomainError {
  const silent = holders.filter(({ gatewayUrl }) => gatewayUrl === '').map(({ nodeId }) => nodeId);
  const found = [
    ...(silent.length > 0
      ? [
          `${silent.join(', ')} ${silent.length === 1 ? 'has' : 'have'} it and ${silent.length === 1 ? 'does' : 'do'} not answer`,
        ]
      : []),
    ...failures.map((failure) => (failure instanceof Error ? failure.message : String(failure))),
  ];
  const why = found.length === 0 ? 'no node has it any more' : found.join('; ');
  return new DomainError('IMAGE_UNAVAILABLE', `cannot get the image that was built for revision ${revision}: ${why}`, {
    hint:
      silent.length > 0
        ? 'Bring that node back, or deploy the source again, which builds it anew.'
        : 'Deploy the source again, which builds it anew.',
  });
}
