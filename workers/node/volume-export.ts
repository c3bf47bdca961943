import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { createContextKey, type HandlerContext } from '@connectrpc/connect';
import type { Docker } from '../../adapters/docker/docker.ts';
import type { VolumeClaim } from '../../adapters/tokens/volume-token.ts';
import { DomainError } from '../../domain/errors.ts';
import { volumeName } from '../../domain/naming.ts';
import type { ExportVolumeRequest } from '../../gen/obiente/internal/v1/gateways_pb.ts';

/** Volumes that are sent at a time: each is read from this host's disk, which replicas need as well. */
const MOST_EXPORTS = 2;

/** What the token of a call allows to fetch. */
export const volumeClaimKey = createContextKey<VolumeClaim | undefined>(undefined, {
  description: 'volume of the token',
});

/** Sends what is in volumes to other nodes. */
export interface VolumeExport {
  /**
   * Streams what is in the volume that the token names, and in no other, as a tar archive.
   *
   * @throws UNAUTHENTICATED for another volume; NOT_FOUND when it is not here; VOLUME_IN_USE (retryable) while a container
   * writes it; NODE_UNAVAILABLE (retryable) when this node sends as many as it may.
   */
  stream(request: ExportVolumeRequest, context: HandlerContext): AsyncGenerator<{ chunk: Uint8Array }>;
}

/** Creates the sender. */
export function createVolumeExport(
  instance: string,
  docker: Pick<Docker, 'readVolume' | 'requireUnwritten'>,
): VolumeExport {
  let open = 0;
  return {
    stream: async function* ({ volumeId, copy }, { values, signal }) {
      const claim = values.get(volumeClaimKey);
      if (claim?.volumeId !== volumeId || claim.copy !== copy) {
        throw new DomainError('UNAUTHENTICATED', 'the token is for another volume');
      }
      if (open >= MOST_EXPORTS) {
        throw new DomainError('NODE_UNAVAILABLE', `this node sends ${MOST_EXPORTS} volumes already, which is the most`);
      }
      open += 1;
      try {
        const volume = volumeName(instance, { volumeId, copy });
        await docker.requireUnwritten(volume);
        yield* read(docker, volume, signal);
      } finally {
        open -= 1;
      }
    },
  };
}

/** Hands on what is read, for as long as somebody takes it. */
async function* read(docker: Pick<Docker, 'readVolume'>, volume: string, signal: AbortSignal) {
  const opened = Promise.withResolvers<Readable>();
  const taken = Promise.withResolvers<void>();
  const reading = docker.readVolume({ volume, reader: randomUUID() }, async (archive) => {
    opened.resolve(archive);
    await taken.promise;
  });
  reading.catch(opened.reject);
  try {
    const archive = await opened.promise;
    signal.addEventListener('abort', () => archive.destroy(signal.reason as Error), { once: true });
    for await (const chunk of archive) yield { chunk: chunk as Uint8Array };
  } finally {
    taken.resolve();
    await reading.catch(() => undefined);
  }
}
