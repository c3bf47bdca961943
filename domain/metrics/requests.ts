import type { RequestMinuteRow } from './rows.ts';

/** What an ingress has counted for something: whole numbers that only rise until it restarts. */
export type RequestCounters = Omit<RequestMinuteRow, 'deploymentId' | 'nodeId' | 'minuteMs'>;

/**
 * Upper bounds of the buckets, milliseconds. They are part of the ingress' static configuration: each service, method and
 * code has a series a bucket, so there are as few as tell a fast application from a slow one.
 */
export const LATENCY_BOUNDS_MS: readonly number[] = [10, 50, 100, 250, 500, 1_000, 5_000];

/** Nothing counted yet. */
export const NO_REQUESTS: RequestCounters = {
  requests: 0,
  status1xx: 0,
  status2xx: 0,
  status3xx: 0,
  status4xx: 0,
  status5xx: 0,
  bytesIn: 0,
  bytesOut: 0,
  latencyBuckets: [...LATENCY_BOUNDS_MS, Number.POSITIVE_INFINITY].map(() => 0),
  latencySumMicros: 0,
};

type Count = Exclude<keyof RequestCounters, 'latencyBuckets'>;

/** Every count but the buckets, in one order that never changes within a process. */
export const REQUEST_COUNTS = (Object.keys(NO_REQUESTS) as (keyof RequestCounters)[]).filter(
  (name): name is Count => name !== 'latencyBuckets',
);

/** Adds two counts. */
export function addRequests(one: RequestCounters, other: RequestCounters): RequestCounters {
  return combine(one, other, (a, b) => a + b);
}

/**
 * What an ingress counted for one of its services between two looks.
 *
 * A count that fell began anew, and what it shows now came after that: the ingress forgets a service that is not routed to
 * any more, and counts it from zero when it is routed to again.
 */
export function requestsSince(before: RequestCounters, now: RequestCounters): RequestCounters {
  const hasBegunAnew = now.requests < before.requests || countOf(now) < countOf(before);
  return hasBegunAnew ? now : combine(before, now, (a, b) => Math.max(0, b - a));
}

/** Whether there is anything in it. */
export function isNothing(counters: RequestCounters): boolean {
  return REQUEST_COUNTS.every((name) => counters[name] === 0);
}

function combine(
  one: RequestCounters,
  other: RequestCounters,
  value: (a: number, b: number) => number,
): RequestCounters {
  const counts = Object.fromEntries(REQUEST_COUNTS.map((name) => [name, value(one[name], other[name])]));
  const latencyBuckets = NO_REQUESTS.latencyBuckets.map((_, index) =>
    value(one.latencyBuckets[index] ?? 0, other.latencyBuckets[index] ?? 0),
  );
  return { ...(counts as Record<Count, number>), latencyBuckets };
}

/** Answers whose time was taken. */
export function countOf({ latencyBuckets }: Pick<RequestCounters, 'latencyBuckets'>): number {
  return latencyBuckets.at(-1) ?? 0;
}

/**
 * The time that a share of the answers took at most, milliseconds, by the buckets: within a bucket the answers are taken
 * to lie evenly. Beyond the last bound that bound is all that is known. `null` when there were no answers.
 *
 * @param share 0 to 1.
 */
export function latencyAt(counters: Pick<RequestCounters, 'latencyBuckets'>, share: number): number | null {
  const { latencyBuckets } = counters;
  if (countOf(counters) <= 0) return null;
  const wanted = share * countOf(counters);
  for (const [index, bound] of LATENCY_BOUNDS_MS.entries()) {
    const upTo = latencyBuckets[index] ?? 0;
    if (upTo < wanted || upTo === 0) continue;
    const [below, floor] = index === 0 ? [0, 0] : [latencyBuckets[index - 1] ?? 0, LATENCY_BOUNDS_MS[index - 1] ?? 0];
    return upTo === below ? floor : floor + ((wanted - below) / (upTo - below)) * (bound - floor);
  }
  return LATENCY_BOUNDS_MS.at(-1) ?? null;
}
