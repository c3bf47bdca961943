/** A streamer's own counters, under the names that operators read at `GET /metrics/observability`. */
export interface Observability {
  readonly collection_count: number;
  readonly collection_errors: number;
  readonly collections_per_second: number;
  readonly containers_processed: number;
  readonly containers_failed: number;
  readonly storage_batches_written: number;
  readonly storage_batches_failed: number;
  readonly storage_metrics_written: number;
  readonly storage_metrics_failed: number;
  readonly retry_queue_size: number;
  readonly retry_batches_processed: number;
  readonly retry_batches_success: number;
  readonly active_subscribers: number;
  readonly slow_subscribers: number;
  readonly subscriber_overflows: number;
  readonly live_metrics_cache_size: number;
  readonly previous_stats_cache_size: number;
  /** 0 closed, 1 open, 2 half-open. */
  readonly circuit_breaker_state: number;
  readonly circuit_breaker_failures: number;
  readonly healthy: boolean;
  readonly consecutive_failures: number;
  /** RFC 3339; `null` before the first one, as the other two. */
  readonly last_collection_time: string | null;
  readonly last_storage_time: string | null;
  readonly last_health_check_time: string | null;
  /** Steps back from the usual interval, under load: 0 to 3. */
  readonly degradation_level: number;
  /** Time between two rounds now. */
  readonly collection_interval_ms: number;
  /** Containers that were read in the newest round, by the way in which they were. */
  readonly containers_read_by_cgroup: number;
  readonly containers_read_by_docker: number;
}

/** A streamer that has done nothing yet. */
export const NOTHING_OBSERVED: Observability = {
  collection_count: 0,
  collection_errors: 0,
  collections_per_second: 0,
  containers_processed: 0,
  containers_failed: 0,
  storage_batches_written: 0,
  storage_batches_failed: 0,
  storage_metrics_written: 0,
  storage_metrics_failed: 0,
  retry_queue_size: 0,
  retry_batches_processed: 0,
  retry_batches_success: 0,
  active_subscribers: 0,
  slow_subscribers: 0,
  subscriber_overflows: 0,
  live_metrics_cache_size: 0,
  previous_stats_cache_size: 0,
  circuit_breaker_state: 0,
  circuit_breaker_failures: 0,
  healthy: true,
  consecutive_failures: 0,
  last_collection_time: null,
  last_storage_time: null,
  last_health_check_time: null,
  degradation_level: 0,
  collection_interval_ms: 0,
  containers_read_by_cgroup: 0,
  containers_read_by_docker: 0,
};

/** The keys of `GET /metrics/observability` that operators know from the original platform. */
export const OPERATOR_KEYS = [
  ...['collection_count', 'collection_errors', 'collections_per_second', 'containers_processed', 'containers_failed'],
  ...['storage_batches_written', 'storage_batches_failed', 'storage_metrics_written', 'storage_metrics_failed'],
  ...['retry_queue_size', 'retry_batches_processed', 'retry_batches_success'],
  ...['active_subscribers', 'slow_subscribers', 'subscriber_overflows'],
  ...['live_metrics_cache_size', 'previous_stats_cache_size', 'circuit_breaker_state', 'circuit_breaker_failures'],
  ...['healthy', 'consecutive_failures', 'last_collection_time', 'last_storage_time', 'last_health_check_time'],
] as readonly (keyof Observability)[];

/** What operators read of a streamer: the 24 keys first, then this platform's own, and nothing else that it says of itself. */
export function toOperatorAnswer(observed: Observability): Observability {
  const keys = Object.keys(NOTHING_OBSERVED) as readonly (keyof Observability)[];
  return Object.fromEntries(keys.map((key) => [key, observed[key]])) as unknown as Observability;
}

/** Keys of which a cluster shows its worst node, not the sum. */
const WORST: ReadonlySet<string> = new Set([
  'circuit_breaker_state',
  'consecutive_failures',
  'degradation_level',
  'collection_interval_ms',
]);

/**
 * A cluster's counters from its nodes': numbers are summed, states are the worst of any node, times the newest, and it is
 * healthy when all of them are.
 */
export function sumObservability(nodes: readonly Observability[]): Observability {
  const keys = Object.keys(NOTHING_OBSERVED) as readonly (keyof Observability)[];
  const entries = keys.map((key) => [
    key,
    combined(
      key,
      nodes.map((node) => node[key]),
    ),
  ]);
  return Object.fromEntries(entries) as unknown as Observability;
}

/** Reads a streamer's counters from outside: unknown keys are left out, what is missing or of another type is as at the start. */
export function parseObservability(value: unknown): Observability {
  const found = value !== null && typeof value === 'object' ? (value as Readonly<Record<string, unknown>>) : {};
  const entries = Object.entries(NOTHING_OBSERVED).map(([key, initial]) => {
    const said = found[key];
    const isTime = initial === null && typeof said === 'string';
    return [key, isTime || typeof said === typeof initial ? (said ?? null) : initial];
  });
  return Object.fromEntries(entries) as unknown as Observability;
}

function combined(
  key: string,
  values: readonly (number | boolean | string | null)[],
): number | boolean | string | null {
  if (key === 'healthy') return values.every((value) => value === true);
  if (key.startsWith('last_')) return newest(values);
  const numbers = values.map(Number);
  return WORST.has(key) ? Math.max(0, ...numbers) : numbers.reduce((sum, value) => sum + value, 0);
}

function newest(values: readonly unknown[]): string | null {
  const times = values.filter((value) => typeof value === 'string');
  return times.reduce<string | null>((best, time) => (best === null || time > best ? time : best), null);
}
