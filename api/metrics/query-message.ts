import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { type Aggregation, type Point, percentileOf, type Series } from '../../domain/metrics/course.ts';
import type { Resolution } from '../../domain/metrics/query.ts';
import type { RequestStep } from '../../domain/metrics/request-course.ts';
import { latencyAt } from '../../domain/metrics/requests.ts';
import {
  MetricsAggregation,
  MetricsResolution,
  type QueryMetricsRequest,
  type QueryMetricsResponseSchema,
} from '../../gen/obiente/cloud/v1/metrics_pb.ts';
import type { Course, Query } from './query-metrics.ts';

type Response = MessageInitShape<typeof QueryMetricsResponseSchema>;

const RESOLUTIONS: Readonly<Partial<Record<MetricsResolution, Resolution>>> = {
  [MetricsResolution.LIVE]: 'live',
  [MetricsResolution.MINUTE]: 'minute',
  [MetricsResolution.HOUR]: 'hour',
};

const RESOLUTION_MESSAGES: Readonly<Record<Resolution, MetricsResolution>> = {
  live: MetricsResolution.LIVE,
  minute: MetricsResolution.MINUTE,
  hour: MetricsResolution.HOUR,
};

const AGGREGATIONS: Readonly<Record<MetricsAggregation, Aggregation>> = {
  [MetricsAggregation.UNSPECIFIED]: 'sum',
  [MetricsAggregation.AVERAGE]: 'average',
  [MetricsAggregation.MAXIMUM]: 'maximum',
  [MetricsAggregation.NONE]: 'none',
};

/** What is asked for, of a request that has been validated. */
export function toQuery(request: QueryMetricsRequest): Query {
  return {
    deploymentId: request.deploymentId.toLowerCase(),
    replicaId: request.replicaId || undefined,
    service: request.service || undefined,
    startMs: request.start && timestampMs(request.start),
    endMs: request.end && timestampMs(request.end),
    resolution: RESOLUTIONS[request.resolution],
    aggregation: AGGREGATIONS[request.aggregation] ?? 'sum',
  };
}

/** The answer, as it goes to the caller. */
export function toQueryMessage({ steps, series, requests }: Course, percentiles: readonly number[]): Response {
  return {
    resolution: RESOLUTION_MESSAGES[steps.resolution],
    stepMs: BigInt(steps.stepMs),
    start: timestampFromMs(steps.startMs),
    end: timestampFromMs(steps.endMs),
    series: series.map((one) => toSeries(one, percentiles)),
    requests: requests.map(toRequestPoint),
  };
}

function toSeries({ replicaId, points }: Series, percentiles: readonly number[]) {
  return {
    replicaId,
    points: points.map(toPoint),
    percentiles: percentiles.map((percentile) =>
      withoutNulls({
        percentile,
        cpuPercent: percentileOf(points, 'cpuPercent', percentile),
        memoryBytes: percentileOf(points, 'memoryBytes', percentile),
      }),
    ),
  };
}

function toPoint({ atMs, replicas, values, observed }: Point) {
  const at = timestampFromMs(atMs);
  return values ? { at, replicas, observed, ...withoutNulls({ ...values }) } : { at, replicas };
}

function toRequestPoint({ atMs, counters }: RequestStep) {
  const at = timestampFromMs(atMs);
  if (!counters) return { at };
  const latencies = {
    latencyP50Ms: latencyAt(counters, 0.5),
    latencyP95Ms: latencyAt(counters, 0.95),
    latencyP99Ms: latencyAt(counters, 0.99),
  };
  return {
    at,
    requests: BigInt(counters.requests),
    status1xx: BigInt(counters.status1xx),
    status2xx: BigInt(counters.status2xx),
    status3xx: BigInt(counters.status3xx),
    status4xx: BigInt(counters.status4xx),
    status5xx: BigInt(counters.status5xx),
    bytesIn: BigInt(counters.bytesIn),
    bytesOut: BigInt(counters.bytesOut),
    ...withoutNulls(latencies),
  };
}

/** What has no value is left out: unset, and not 0. */
function withoutNulls<Values extends Record<string, number | null>>(values: Values) {
  const known = Object.entries(values).filter(([, value]) => value !== null);
  return Object.fromEntries(known) as { [Name in keyof Values]?: number };
}
