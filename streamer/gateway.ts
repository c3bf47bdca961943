import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import type { Observability } from '../domain/metrics/observability.ts';
import type { Sample } from '../domain/metrics/reading.ts';
import type { ContainerSample, RequestSample } from '../gen/obiente/cloud/v1/metrics_pb.ts';
import type {
  StreamerGatewayService,
  StreamSamplesRequest,
  StreamSamplesResponseSchema,
} from '../gen/obiente/internal/v1/gateways_pb.ts';
import type { LiveCache, LiveSample } from './live-cache.ts';
import { type LiveRequests, type RequestTotals, toRequestSample } from './live-requests.ts';
import { toContainerSample } from './sample-message.ts';
import type { Subscribers } from './subscribers.ts';

/** What is told of in a round: containers, and requests where this node has an ingress. */
export type LiveItem = Sample | RequestTotals;

/** What the gateway shows. */
export interface GatewayDeps {
  readonly cache: LiveCache;
  readonly subscribers: Subscribers<LiveItem>;
  /** Requests of the last minutes; `undefined` on a node without an ingress. */
  readonly requests?: LiveRequests | undefined;
  readonly observability: () => Observability;
  /** This node's id; `undefined` as long as the node has none yet, when there are no samples either. */
  readonly nodeId: () => string | undefined;
  /** Time between two rounds now, milliseconds. */
  readonly intervalMs: () => number;
  /** Steps back from the usual interval, under load. */
  readonly degradationLevel?: (() => number) | undefined;
  /** How to cut off a caller who does not read. */
  readonly resetOf: (context: HandlerContext) => () => void;
}

type Message = MessageInitShape<typeof StreamSamplesResponseSchema>;

/** Creates the service with which the API reads this streamer. Who may call is decided before. */
export function createStreamerGateway(deps: GatewayDeps): ServiceImpl<typeof StreamerGatewayService> {
  const nodeId = (): string => deps.nodeId() ?? '';
  // A round goes to many subscribers, and is turned into messages once. Kept for as long as the round is.
  const messages = new WeakMap<LiveItem, ContainerSample | RequestSample>();
  const toMessage = (item: LiveItem): ContainerSample | RequestSample => {
    const known = messages.get(item);
    if (known) return known;
    const message = isSample(item) ? toContainerSample(item, nodeId()) : toRequestSample(item, nodeId());
    messages.set(item, message);
    return message;
  };
  const rounds = new WeakMap<readonly LiveItem[], Pick<Message, 'samples' | 'requests'>>();
  const toRound = (items: readonly LiveItem[]): Pick<Message, 'samples' | 'requests'> => {
    const known = rounds.get(items);
    if (known) return known;
    const [samples, requests]: [ContainerSample[], RequestSample[]] = [[], []];
    for (const item of items) {
      const message = toMessage(item);
      if (message.$typeName === 'obiente.cloud.v1.ContainerSample') samples.push(message);
      else requests.push(message);
    }
    const round = { samples, requests };
    rounds.set(items, round);
    return round;
  };
  const past = ({ deploymentId, after, replicaIds }: StreamSamplesRequest) => {
    const afterMs = after ? timestampMs(after) : 0;
    const wanted = deps.cache
      .since(deploymentId, afterMs)
      .filter(({ replicaId }) => replicaIds.length === 0 || replicaIds.includes(replicaId));
    const requests = replicaIds.length === 0 ? (deps.requests?.since(deploymentId, afterMs) ?? []) : [];
    const message: Message = {
      samples: wanted.map((sample) => toContainerSample(sample, nodeId())),
      requests: requests.map((one) => toRequestSample(one, nodeId())),
      backfill: true,
      ...pace(),
    };
    return { message, lastRound: wanted.reduce((last, { round }) => Math.max(last, round), 0) };
  };

  const pace = () => ({
    intervalMs: BigInt(deps.intervalMs()),
    degradationLevel: deps.degradationLevel?.() ?? 0,
  });

  return {
    getLatestSamples: ({ deploymentId }) => ({
      samples: deps.cache.latest(deploymentId).map((sample) => toContainerSample(sample, nodeId())),
    }),
    getObservability: () => ({
      json: JSON.stringify(deps.observability()),
      countsRequests: deps.requests !== undefined,
    }),
    streamSamples: async function* (request, context): AsyncGenerator<Message> {
      const { deploymentId } = request;
      const replicaIds = request.replicaIds.length > 0 ? new Set(request.replicaIds) : undefined;
      // Subscribed before the past is read, so that nothing falls between the two.
      const live = deps.subscribers.subscribe({ deploymentId, replicaIds }, context.signal, deps.resetOf(context));
      const { message, lastRound } = past(request);
      yield message;
      for await (const { samples, missedRounds } of live) {
        const fresh = samples.some((item) => isIn(item, lastRound))
          ? samples.filter((item) => !isIn(item, lastRound))
          : samples;
        yield { ...toRound(fresh), missedRounds: BigInt(missedRounds), ...pace() };
      }
    },
  } satisfies Partial<ServiceImpl<typeof StreamerGatewayService>> & {
    streamSamples(request: StreamSamplesRequest, context: HandlerContext): AsyncIterable<Message>;
  };
}

function isSample(item: LiveItem): item is Sample {
  return 'containerId' in item;
}

/** Whether it was in the past that has been told already. */
function isIn(item: LiveItem, lastRound: number): boolean {
  return isSample(item) && (item as LiveSample).round <= lastRound;
}

/** Whose item it is: of one key only the newest survives for a subscriber who is slow. */
export function keyOfItem(item: LiveItem): string {
  return isSample(item) ? item.containerId : `requests ${item.deploymentId}`;
}
