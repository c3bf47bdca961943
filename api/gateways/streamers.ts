import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ControlTokenSigner } from '../../adapters/tokens/control-token.ts';
import { DomainError } from '../../domain/errors.ts';
import type { Delivery } from '../../domain/metrics/conflating-buffer.ts';
import {
  type Observability,
  parseObservability,
  parseStorageTrouble,
  type StorageTrouble,
} from '../../domain/metrics/observability.ts';
import type { ContainerSample } from '../../gen/obiente/cloud/v1/metrics_pb.ts';
import { StreamerGatewayService } from '../../gen/obiente/internal/v1/gateways_pb.ts';
import { createGatewayClients } from './gateway-clients.ts';

/** The streamer of one node. */
export interface Streamer {
  readonly nodeId: string;
  readonly streamerUrl: string;
}

/** Which samples of a streamer. */
export interface SamplesRequest {
  readonly deploymentId: string;
  /** Only samples taken after this, milliseconds since 1970; `undefined` means from now on. */
  readonly afterMs: number | undefined;
}

/** Asks the nodes' streamers. Every method throws STREAMER_UNAVAILABLE when the one asked does not answer. */
export interface Streamers {
  /** Streams rounds until the signal is aborted or the streamer stops. */
  stream(streamer: Streamer, request: SamplesRequest, signal: AbortSignal): AsyncIterable<Delivery<ContainerSample>>;
  /** The newest sample of each container. */
  latest(streamer: Streamer, deploymentId: string, signal: AbortSignal): Promise<readonly ContainerSample[]>;
  /** The streamer's own counters. */
  observe(streamer: Streamer, signal: AbortSignal): Promise<Observability & { readonly storage: StorageTrouble }>;
}

/** Creates the client of the streamers' gateways. Every call carries a token for that one streamer. */
export function createStreamers({ signer }: { readonly signer: ControlTokenSigner }): Streamers {
  const clientOf = createGatewayClients(StreamerGatewayService, signer);
  const gatewayOf = ({ nodeId, streamerUrl: url }: Streamer) => ({ url, audience: `streamer:${nodeId}` });
  return {
    stream: async function* (streamer, { deploymentId, afterMs }, signal) {
      const request = { deploymentId, ...(afterMs === undefined ? {} : { after: timestampFromMs(afterMs) }) };
      try {
        for await (const { samples, missedRounds } of clientOf(gatewayOf(streamer)).streamSamples(request, {
          signal,
        })) {
          yield { samples, missedRounds: Number(missedRounds) };
        }
      } catch (error) {
        throw unavailable(streamer, error);
      }
    },
    latest: async (streamer, deploymentId, signal) => {
      const answer = clientOf(gatewayOf(streamer)).getLatestSamples({ deploymentId }, { signal });
      return (await answer.catch((error) => Promise.reject(unavailable(streamer, error)))).samples;
    },
    observe: async (streamer, signal) => {
      try {
        const { json } = await clientOf(gatewayOf(streamer)).getObservability({}, { signal });
        const said: unknown = JSON.parse(json);
        return { ...parseObservability(said), storage: parseStorageTrouble(said) };
      } catch (error) {
        throw unavailable(streamer, error);
      }
    },
  };
}

function unavailable({ nodeId }: Streamer, cause: unknown): DomainError {
  return new DomainError('STREAMER_UNAVAILABLE', `the streamer of node ${nodeId} does not answer`, {
    hint: 'Try again; "obiente nodes" says which nodes are ready.',
    cause,
  });
}
