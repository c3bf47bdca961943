import { createHash } from 'node:crypto';
import type { HandlerContext } from '@connectrpc/connect';
import { createContextKey } from '@connectrpc/connect';
import type { Docker } from '../../adapters/docker/docker.ts';
import type { ImageClaim } from '../../adapters/tokens/image-token.ts';
import { DomainError } from '../../domain/errors.ts';
import type { DescribeImageRequest, ExportImageRequest } from '../../gen/obiente/internal/v1/gateways_pb.ts';

/** Images that are sent at a time: each is read from this host's disk, which replicas need as well. */
const MOST_EXPORTS = 4;

/** What the token of a call allows to fetch. */
export const imageClaimKey = createContextKey<ImageClaim | undefined>(undefined, { description: 'image of the token' });

/** Sends images to other nodes. */
export interface ImageExport {
  /** Says what the layers of the image that the token names hold. @throws UNAUTHENTICATED, NOT_FOUND as `stream` */
  describe(request: DescribeImageRequest, context: HandlerContext): Promise<{ layers: string[] }>;
  /**
   * Streams what is asked for of the image that the token names, and of no other.
   *
   * @throws UNAUTHENTICATED for another image; NOT_FOUND when it is not here; IMAGE_UNAVAILABLE when what the caller has is
   * no part of it; NODE_UNAVAILABLE (retryable) when this node sends as many as it may.
   */
  stream(request: ExportImageRequest, context: HandlerContext): AsyncGenerator<{ chunk: Uint8Array }>;
}

/** Creates the sender. */
export function createImageExport(docker: Pick<Docker, 'exportImage' | 'describeLayers'>): ImageExport {
  let open = 0;
  return {
    describe: async (request, context) => {
      const layers = await docker.describeLayers(ofToken(request, context));
      return { layers: [...layers] };
    },
    stream: async function* (request, context) {
      const of = ofToken(request, context);
      if (open >= MOST_EXPORTS) {
        throw new DomainError('NODE_UNAVAILABLE', `this node sends ${MOST_EXPORTS} images already, which is the most`);
      }
      open += 1;
      try {
        const archive = docker.exportImage({ ...of, skip: request.skipLayers }, context.signal);
        for await (const chunk of after(archive, request)) yield { chunk };
      } finally {
        open -= 1;
      }
    },
  };
}

function ofToken({ deploymentId, imageId }: ImageClaim, { values }: HandlerContext): ImageClaim {
  const claim = values.get(imageClaimKey);
  if (claim?.deploymentId === deploymentId && claim.imageId === imageId) return { deploymentId, imageId };
  throw new DomainError('UNAUTHENTICATED', 'the token is for another image');
}

/** Leaves out the bytes that the caller has, once it is certain that they are these. */
async function* after(
  archive: AsyncIterable<Uint8Array>,
  { fromByte, fromSha256 }: Pick<ExportImageRequest, 'fromByte' | 'fromSha256'>,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let left = Number(fromByte);
  const check = () => {
    if (left === 0 && hash.digest('hex') === fromSha256) return;
    throw new DomainError(
      'IMAGE_UNAVAILABLE',
      'cannot go on with the image: what is there is the beginning of another',
    );
  };
  for await (const chunk of archive) {
    if (left === 0) {
      yield chunk;
      continue;
    }
    const known = chunk.subarray(0, left);
    hash.update(known);
    left -= known.length;
    if (left > 0) continue;
    check();
    if (known.length < chunk.length) yield chunk.subarray(known.length);
  }
  if (left > 0) check();
}
