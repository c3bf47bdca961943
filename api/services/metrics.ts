import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import pLimit from 'p-limit';
import { DomainError, notFound } from '../../domain/errors.ts';
import type { ContainerSample, MetricsService } from '../../gen/obiente/cloud/v1/metrics_pb.ts';
import type { Streamer, Streamers } from '../gateways/streamers.ts';
import { streamMetrics } from '../metrics/stream-metrics.ts';

/** What the service of metrics needs. */
export interface MetricsDeps {
  /** The streamers of the nodes that hold the deployment's replicas; `undefined` when there is no such deployment. */
  readonly findStreamers: (deploymentId: string) => Promise<readonly Streamer[] | undefined>;
  /** Calls the listener when something about the deployment has changed. Returns how to end it. */
  readonly subscribe: (deploymentId: string, listener: () => void) => () => void;
  readonly streamers: Streamers;
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

/** Creates the service of metrics. Samples come from the nodes' streamers; nothing of them is kept here. */
export function createMetricsService(deps: MetricsDeps): ServiceImpl<typeof MetricsService> {
  return {
    async *streamMetrics(request, { signal }) {
      const deploymentId = request.deploymentId.toLowerCase();
      if (!(await deps.findStreamers(deploymentId))) throw notFound('deployment');
      const stream = {
        readStreamers: () => deps.findStreamers(deploymentId),
        open: (streamer: Streamer, { afterMs }: { afterMs: number | undefined }, own: AbortSignal) =>
          deps.streamers.stream(streamer, { deploymentId, afterMs }, own),
        subscribe: (listener: () => void) => deps.subscribe(deploymentId, listener),
        heartbeatMs: deps.heartbeatMs,
        retryMs: RETRY_MS,
        monotonic: () => performance.now(),
      };
      const afterMs = request.after && timestampMs(request.after);
      for await (const { samples, missedRounds } of streamMetrics(stream, afterMs, signal)) {
        yield { samples: [...samples], missedRounds: BigInt(missedRounds) };
      }
    },
    async getLatestMetrics(request, { signal }) {
      const deploymentId = request.deploymentId.toLowerCase();
      const streamers = await deps.findStreamers(deploymentId);
      if (!streamers) throw notFound('deployment');
      const samples = await readLatest(deps.streamers, streamers, { deploymentId, signal });
      return { samples: newestOfEach(samples, deps.now().getTime() - LATEST_MAX_AGE_MS) };
    },
  };
}

/** Answers with what the streamers that answer have. @throws STREAMER_UNAVAILABLE when none of them does. */
async function readLatest(
  client: Streamers,
  streamers: readonly Streamer[],
  { deploymentId, signal }: { deploymentId: string; signal: AbortSignal },
): Promise<readonly ContainerSample[]> {
  const limit = pLimit(AT_ONCE);
  const patience = AbortSignal.any([signal, AbortSignal.timeout(LATEST_WAIT_MS)]);
  const answers = await Promise.allSettled(
    streamers.map((streamer) => limit(() => client.latest(streamer, deploymentId, patience))),
  );
  const answered = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  if (answered.length > 0 || streamers.length === 0) return answered.flat();
  throw new DomainError(
    'STREAMER_UNAVAILABLE',
    `none of ${streamers.length} nodes with replicas answers with metrics`,
    {
      hint: 'Try again; "obiente nodes" says which nodes are ready.',
    },
  );
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
