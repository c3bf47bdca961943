import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ControlTokenSigner } from '../../adapters/tokens/control-token.ts';
import { DomainError } from '../../domain/errors.ts';
import { type Observability, parseObservability } from '../../domain/metrics/observability.ts';
import { parseStorageState, type StorageState } from '../../domain/metrics/storage-state.ts';
import type { ContainerSample } from '../../gen/obiente/cloud/v1/metrics_pb.ts';
import { StreamerGatewayService, type StreamSamplesResponse } from '../../gen/obiente/internal/v1/gateways_pb.ts';
import type { NodeRound } from '../metrics/merge-ticks.ts';
import { createGatewayClients } from './gateway-clients.ts';

/** The streamer of one node. */
export interface Streamer {
  readonly nodeId: string;
  readonly streamerUrl: string;
}

/** Which samples of a streamer. */
export interface SamplesRequest {
  readonly deploymentId: string;
  /** Only samples taken after this, milliseconds since 1970; `undefined` means all that are kept. */
  readonly afterMs: number | undefined;
  /** Only these replicas; empty means all. */
  readonly replicaIds?: readonly string[];
}

/** Asks the nodes' streamers. Every method throws STREAMER_UNAVAILABLE when the one asked does not answer. */
export interface Streamers {
  /** Streams the past and then round after round, until the signal is aborted or the streamer stops. */
  stream(streamer: Streamer, request: SamplesRequest, signal: AbortSignal): AsyncIterable<NodeRound>;
  /** All samples that are kept, of the last minutes. */
  past(streamer: Streamer, deploymentId: string, signal: AbortSignal): Promise<readonly ContainerSample[]>;
  /** The newest sample of each container. */
  latest(streamer: Streamer, deploymentId: string, signal: AbortSignal): Promise<readonly ContainerSample[]>;
  /** The streamer's own counters. */
  observe(streamer: Streamer, signal: AbortSignal): Promise<Observability & { readonly storage: StorageState }>;
  /** Whether the streamer counts the requests of an ingress. */
  countsRequests(streamer: Streamer, signal: AbortSignal): Promise<boolean>;
}

/** Creates the client of the streamers' gateways. Every call carries a token for that one streamer. */
export function createStreamers({ signer }: { readonly signer: ControlTokenSigner }): Streamers {
  const clientOf = createGatewayClients(StreamerGatewayService, signer);
  const gatewayOf = ({ nodeId, streamerUrl: url }: Streamer) => ({ url, audience: `streamer:${nodeId}` });
  return {
    stream: async function* (streamer, { deploymentId, afterMs, replicaIds = [] }, signal) {
      const after = afterMs === undefined ? {} : { after: timestampFromMs(afterMs) };
      const request = { deploymentId, replicaIds: [...replicaIds], ...after };
      try {
        for await (const message of clientOf(gatewayOf(streamer)).streamSamples(request, { signal })) {
          yield toRound(message);
        }
      } catch (error) {
        throw unavailable(streamer, error);
      }
    },
    past: async (streamer, deploymentId, signal) => {
      const leave = new AbortController();
      const either = AbortSignal.any([signal, leave.signal]);
      try {
        // The first message is the past.
        for await (const { samples } of clientOf(gatewayOf(streamer)).streamSamples(
          { deploymentId },
          { signal: either },
        )) {
          return samples;
        }
        return [];
      } catch (error) {
        throw unavailable(streamer, error);
      } finally {
        leave.abort();
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
        return { ...parseObservability(said), storage: parseStorageState((said as { storage?: unknown }).storage) };
      } catch (error) {
        throw unavailable(streamer, error);
      }
    },
    countsRequests: async (streamer, signal) => {
      const answer = clientOf(gatewayOf(streamer)).getObservability({}, { signal });
      return (await answer.catch((error) => Promise.reject(unavailable(streamer, error)))).countsRequests;
    },
  };
}

function toRound(message: StreamSamplesResponse): NodeRound {
  const { samples, requests, missedRounds, backfill, intervalMs, degradationLevel } = message;
  const times = new Map<string, number>();
  for (const { containerId } of samples) times.set(containerId, (times.get(containerId) ?? 0) + 1);
  return {
    samples: [...samples, ...requests],
    missedRounds: Number(missedRounds),
    rounds: Math.max(1, ...times.values()),
    isPast: backfill,
    intervalMs: Number(intervalMs),
    degradationLevel,
  };
}

function unavailable({ nodeId }: Streamer, cause: unknown): DomainError {
  return new DomainError('STREAMER_UNAVAILABLE', `the streamer of node ${nodeId} does not answer`, {
    hint: 'Try again; "obiente nodes" says which nodes are ready.',
    cause,
  });
}
