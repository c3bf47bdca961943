import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  countOf,
  LATENCY_BOUNDS_MS,
  NO_REQUESTS,
  REQUEST_COUNTS,
  type RequestCounters,
} from '../domain/metrics/requests.ts';
import { type RequestSample, RequestSampleSchema } from '../gen/obiente/cloud/v1/metrics_pb.ts';
import { createRing, type Ring, ringBytes } from './ring.ts';

/** What has been counted for a deployment since this streamer began, as it was at one moment. */
export interface RequestTotals extends RequestCounters {
  readonly deploymentId: string;
  /** When the ingress was asked, milliseconds since 1970. */
  readonly atMs: number;
  /** When counting began. */
  readonly sinceMs: number;
  /** Requests a second since the look before; `null` at the first. */
  readonly requestRate: number | null;
}

/** The requests of the last minutes. */
export interface LiveRequests {
  add(totals: readonly RequestTotals[], nowMs: number): void;
  /** Totals of a deployment taken after a moment, oldest first. */
  since(deploymentId: string, afterMs: number): readonly RequestTotals[];
  /** Deployments held. */
  size(): number;
  /** What the ring of one deployment takes, full or not. */
  readonly bytesPerDeployment: number;
}

const [AT, SINCE, RATE, FIRST_COUNT] = [0, 1, 2, 3];
const FIRST_BUCKET = FIRST_COUNT + REQUEST_COUNTS.length;
const BUCKETS = NO_REQUESTS.latencyBuckets;
const COLUMNS = FIRST_BUCKET + BUCKETS.length;

/** Creates the memory of requests: a ring of fixed size per deployment, forgotten when its newest totals are too old. */
export function createLiveRequests(options: {
  readonly retentionMs: number;
  readonly intervalMs: number;
}): LiveRequests {
  const rings = new Map<string, Ring>();
  const shape = { rows: Math.max(1, Math.ceil(options.retentionMs / options.intervalMs)), columns: COLUMNS };
  return {
    bytesPerDeployment: ringBytes(shape),
    add: (totals, nowMs) => {
      for (const one of totals) {
        const ring = rings.get(one.deploymentId) ?? createRing(shape);
        rings.set(one.deploymentId, ring);
        ring.push(toNumbers(one));
      }
      for (const [deploymentId, ring] of rings) {
        while (ring.at(0, AT) < nowMs - options.retentionMs) ring.shift();
        if (ring.size === 0) rings.delete(deploymentId);
      }
    },
    since: (deploymentId, afterMs) => {
      const ring = rings.get(deploymentId);
      const rows = Array.from({ length: ring?.size ?? 0 }, (_, index) => index);
      return ring
        ? rows.filter((row) => ring.at(row, AT) > afterMs).map((row) => toTotals(deploymentId, ring, row))
        : [];
    },
    size: () => rings.size,
  };
}

function toNumbers(totals: RequestTotals): number[] {
  return [
    totals.atMs,
    totals.sinceMs,
    totals.requestRate ?? Number.NaN,
    ...REQUEST_COUNTS.map((name) => totals[name]),
    ...BUCKETS.map((_, index) => totals.latencyBuckets[index] ?? 0),
  ];
}

function toTotals(deploymentId: string, ring: Ring, row: number): RequestTotals {
  const counts = Object.fromEntries(REQUEST_COUNTS.map((name, index) => [name, ring.at(row, FIRST_COUNT + index)]));
  const requestRate = ring.at(row, RATE);
  return {
    ...(counts as Record<(typeof REQUEST_COUNTS)[number], number>),
    latencyBuckets: BUCKETS.map((_, index) => ring.at(row, FIRST_BUCKET + index)),
    deploymentId,
    atMs: ring.at(row, AT),
    sinceMs: ring.at(row, SINCE),
    requestRate: Number.isNaN(requestRate) ? null : requestRate,
  };
}

/** Totals as they go to callers. */
export function toRequestSample(totals: RequestTotals, nodeId: string): RequestSample {
  return create(RequestSampleSchema, {
    at: timestampFromMs(totals.atMs),
    since: timestampFromMs(totals.sinceMs),
    deploymentId: totals.deploymentId,
    nodeId,
    requests: BigInt(totals.requests),
    status1xx: BigInt(totals.status1xx),
    status2xx: BigInt(totals.status2xx),
    status3xx: BigInt(totals.status3xx),
    status4xx: BigInt(totals.status4xx),
    status5xx: BigInt(totals.status5xx),
    bytesIn: BigInt(totals.bytesIn),
    bytesOut: BigInt(totals.bytesOut),
    latency: {
      boundsMs: [...LATENCY_BOUNDS_MS],
      counts: LATENCY_BOUNDS_MS.map((_, index) => BigInt(totals.latencyBuckets[index] ?? 0)),
      count: BigInt(countOf(totals)),
      sumMs: totals.latencySumMicros / 1000,
    },
    ...(totals.requestRate === null ? {} : { requestRate: totals.requestRate }),
  });
}
