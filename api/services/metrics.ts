import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import pLimit from 'p-limit';
import { DomainError, notFound } from '../../domain/errors.ts';
import type { OutboxRules } from '../../domain/metrics/outbox.ts';
import type { Kept } from '../../domain/metrics/query.ts';
import type { ContainerSample, MetricsService, StreamMetricsRequest } from '../../gen/obiente/cloud/v1/metrics_pb.ts';
import type { Streamer, Streamers } from '../gateways/streamers.ts';
import { toLiveMessage } from '../metrics/live-message.ts';
import { toQuery, toQueryMessage } from '../metrics/query-message.ts';
import { type QueryDeps, queryMetrics } from '../metrics/query-metrics.ts';
import type { Readers } from '../metrics/readers.ts';
import { parseCursor } from '../metrics/stream-cursor.ts';
import { type MetricsStreamDeps, type Place, streamMetrics } from '../metrics/stream-metrics.ts';

/** What the service of metrics needs. */
export interface MetricsDeps extends Pick<QueryDeps, 'stored' | 'findReplicaIds'> {
  /** How long a deployment's metrics are kept: its organization may have periods of its own. */
  readonly readKept: (deploymentId: string) => Promise<Kept>;
  /** The nodes that hold the deployment's replicas or an ingress; `undefined` when there is no such deployment. */
  readonly findPlaces: (deploymentId: string) => Promise<readonly Place[] | undefined>;
  /** Calls the listener when something about the deployment has changed. Returns how to end it. */
  readonly subscribe: (deploymentId: string, listener: () => void) => () => void;
  readonly streamers: Streamers;
  /** Those who read streams here, so that stuck ones can be given up. */
  readonly readers: Readers;
  readonly patience: Omit<OutboxRules, 'monotonic'>;
  readonly heartbeatMs: number;
  readonly now: () => Date;
}

/** A streamer that restarts is back within a second or two; one that is away is asked every ten. */
const RETRY_MS = { first: 500, longest: 10_000 };

/** A replica whose newest sample is older is not shown as if it ran. */
const LATEST_MAX_AGE_MS = 60_000;

/** A streamer answers from memory in milliseconds; the answer does not wait for one that hangs. */
const LATEST_WAIT_MS = 2_000;

/** Streamers asked at the same time for one call. */
const AT_ONCE = 50;

/** Creates the service of metrics. Live samples come from the nodes' streamers; nothing of them is kept here. */
export function createMetricsService(deps: MetricsDeps): ServiceImpl<typeof MetricsService> {
  const getPlaces = async (deploymentId: string): Promise<readonly Place[]> => {
    const places = await deps.findPlaces(deploymentId);
    if (!places) throw notFound('deployment');
    return places;
  };

  return {
    async *streamMetrics(request, context) {
      const position = parseCursor(request.cursor);
      await getPlaces(request.deploymentId.toLowerCase());
      const beginning = { position, afterMs: request.after && timestampMs(request.after) };
      const stream = streamMetrics(toStreamDeps(deps, request, context), beginning, context.signal);
      for await (const handed of stream) yield toLiveMessage(handed);
    },
    async getLatestMetrics(request, { signal }) {
      const deploymentId = request.deploymentId.toLowerCase();
      const places = await getPlaces(deploymentId);
      const samples = await askAll(places, signal, (place, own) => deps.streamers.latest(place, deploymentId, own));
      return { samples: newestOfEach(samples, deps.now().getTime() - LATEST_MAX_AGE_MS) };
    },
    async queryMetrics(request, { signal }) {
      const query = toQuery(request);
      const places = await getPlaces(query.deploymentId);
      const readLive = (deploymentId: string) =>
        askAll(places, signal, (place, own) => deps.streamers.past(place, deploymentId, own));
      const kept = await deps.readKept(query.deploymentId);
      const course = await queryMetrics({ ...deps, kept, readLive, now: () => deps.now().getTime() }, query);
      return toQueryMessage(course, request.percentiles);
    },
  };
}

function toStreamDeps(
  deps: MetricsDeps,
  { deploymentId: id, nodeIds, replicaIds }: StreamMetricsRequest,
  context: HandlerContext,
): MetricsStreamDeps {
  const deploymentId = id.toLowerCase();
  const readPlaces = async (): Promise<readonly Place[] | undefined> => {
    const places = await deps.findPlaces(deploymentId);
    return places
      ?.filter(({ nodeId }) => nodeIds.length === 0 || nodeIds.includes(nodeId))
      .map((place) =>
        replicaIds.length === 0 ? place : { ...place, replicaIds: common(place.replicaIds, replicaIds) },
      );
  };
  return {
    readPlaces,
    open: (streamer: Streamer, { afterMs }, own) =>
      deps.streamers.stream(streamer, { deploymentId, afterMs, replicaIds }, own),
    subscribe: (listener) => deps.subscribe(deploymentId, listener),
    register: (reader) => deps.readers.add(reader, context),
    patience: deps.patience,
    heartbeatMs: deps.heartbeatMs,
    retryMs: RETRY_MS,
    monotonic: () => performance.now(),
    now: () => deps.now().getTime(),
  };
}

function common(one: readonly string[], other: readonly string[]): readonly string[] {
  return one.filter((id) => other.includes(id));
}

/** Answers with what the streamers that answer have. @throws STREAMER_UNAVAILABLE when none of them does. */
async function askAll(
  all: readonly Place[],
  signal: AbortSignal,
  ask: (place: Place, signal: AbortSignal) => Promise<readonly ContainerSample[]>,
): Promise<readonly ContainerSample[]> {
  const limit = pLimit(AT_ONCE);
  const places = all.filter(({ holdsReplicas }) => holdsReplicas);
  const patience = AbortSignal.any([signal, AbortSignal.timeout(LATEST_WAIT_MS)]);
  const answers = await Promise.allSettled(places.map((place) => limit(() => ask(place, patience))));
  const answered = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  if (answered.length > 0 || places.length === 0) return answered.flat();
  throw new DomainError('STREAMER_UNAVAILABLE', `none of ${places.length} nodes with replicas answers with metrics`, {
    hint: 'Try again; "obiente nodes" says which nodes are ready.',
  });
}

/** Replicas may have had several containers within a minute: the newest speaks for the replica. */
function newestOfEach(samples: readonly ContainerSample[], oldestMs: number): ContainerSample[] {
  const newest = new Map<string, ContainerSample>();
  const atMs = ({ at }: ContainerSample): number => (at ? timestampMs(at) : 0);
  for (const sample of samples) {
    const known = newest.get(sample.replicaId);
    if (atMs(sample) >= oldestMs && (!known || atMs(sample) > atMs(known))) newest.set(sample.replicaId, sample);
  }
  return [...newest.values()].sort((a, b) => (a.replicaId < b.replicaId ? -1 : 1));
}
