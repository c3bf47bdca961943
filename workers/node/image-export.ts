import type { HandlerContext } from '@connectrpc/connect';
import { createContextKey } from '@connectrpc/connect';
import type { Docker } from '../../adapters/docker/docker.ts';
import type { ImageClaim } from '../../adapters/tokens/image-token.ts';
import { DomainError } from '../../domain/errors.ts';
import type { ExportImageRequest } from '../../gen/obiente/internal/v1/gateways_pb.ts';

/** Images that are sent at a time: each is read from this host's disk, which replicas need as well. */
const MOST_EXPORTS = 4;

/** What the token of a call allows to fetch. */
export const imageClaimKey = createContextKey<ImageClaim | undefined>(undefined, { description: 'image of the token' });

/** Sends images to other nodes. */
export interface ImageExport {
  /**
   * Streams the image that the token names, and no other.
   *
   * @throws UNAUTHENTICATED for another image; NOT_FOUND when it is not here; NODE_UNAVAILABLE (retryable) when this node
   * sends as many as it may.
   */
  stream(request: ExportImageRequest, context: HandlerContext): AsyncGenerator<{ chunk: Uint8Array }>;
}

/** Creates the sender. */
export function createImageExport(docker: Pick<Docker, 'exportImage'>): ImageExport {
  let open = 0;
  return {
    stream: async function* ({ deploymentId, imageId }, { values, signal }) {
      const claim = values.get(imageClaimKey);
      if (claim?.deploymentId !== deploymentId || claim.imageId !== imageId) {
        throw new DomainError('UNAUTHENTICATED', 'the token is for another image');
      }
      if (open >= MOST_EXPORTS) {
        throw new DomainError('NODE_UNAVAILABLE', `this node sends ${MOST_EXPORTS} images already, which is the most`);
      }
      open += 1;
      try {
        for await (const chunk of docker.exportImage({ deploymentId, imageId }, signal)) yield { chunk };
      } finally {
        open -= 1;
      }
    },
  };
}
