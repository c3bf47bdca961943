import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import type { Observability } from '../domain/metrics/observability.ts';
import type { Sample } from '../domain/metrics/reading.ts';
import type {
  StreamerGatewayService,
  StreamSamplesRequest,
  StreamSamplesResponseSchema,
} from '../gen/obiente/internal/v1/gateways_pb.ts';
import type { LiveCache } from './live-cache.ts';
import { toContainerSample } from './sample-message.ts';
import type { Subscribers } from './subscribers.ts';

/** What the gateway shows. */
export interface GatewayDeps {
  readonly cache: LiveCache;
  readonly subscribers: Subscribers;
  readonly observability: () => Observability;
  /** This node's id; `undefined` as long as the node has none yet, when there are no samples either. */
  readonly nodeId: () => string | undefined;
}

type Message = MessageInitShape<typeof StreamSamplesResponseSchema>;

/** Creates the service with which the API reads this streamer. Who may call is decided before. */
export function createStreamerGateway(deps: GatewayDeps): ServiceImpl<typeof StreamerGatewayService> {
  const toMessages = (samples: readonly Sample[]) =>
    samples.map((sample) => toContainerSample(sample, deps.nodeId() ?? ''));

  return {
    getLatestSamples: ({ deploymentId }) => ({ samples: toMessages(deps.cache.latest(deploymentId)) }),
    getObservability: () => ({ json: JSON.stringify(deps.observability()) }),
    streamSamples: async function* (request, { signal }): AsyncGenerator<Message> {
      // Subscribed before the past is read, so that nothing falls between the two.
      const live = deps.subscribers.subscribe(request.deploymentId, signal);
      let lastRound = 0;
      for (const [round, samples] of pastRounds(deps.cache, request)) {
        yield { samples: toMessages(samples), missedRounds: 0n };
        lastRound = round;
      }
      for await (const { samples, missedRounds } of live) {
        const fresh = samples.filter(({ round }) => round > lastRound);
        if (fresh.length > 0) yield { samples: toMessages(fresh), missedRounds: BigInt(missedRounds) };
      }
    },
  } satisfies Partial<ServiceImpl<typeof StreamerGatewayService>> & {
    streamSamples(request: StreamSamplesRequest, context: HandlerContext): AsyncIterable<Message>;
  };
}

function pastRounds(cache: LiveCache, { deploymentId, after }: StreamSamplesRequest): Map<number, Sample[]> {
  if (!after) return new Map();
  return Map.groupBy(cache.since(deploymentId, timestampMs(after)), ({ round }) => round);
}
