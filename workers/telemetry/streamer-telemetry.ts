import { Gauge, type Registry } from 'prom-client';
import { createProcessRegistry } from '../../adapters/prometheus/process-registry.ts';
import type { Observability } from '../../domain/metrics/observability.ts';
import type { StorageState } from '../../domain/metrics/storage-state.ts';

/** How a key of `/metrics/observability` is called in Prometheus, and what it says. */
const EXPOSED: Readonly<Record<string, readonly [name: string, help: string]>> = {
  collection_count: ['collections_total', 'Rounds of reading that ended.'],
  collection_errors: ['collection_errors_total', 'Rounds in which nothing could be read although there was something.'],
  collections_per_second: ['collections_per_second', 'Rounds a second, over the last minute.'],
  containers_processed: ['containers_read_total', 'Readings of containers.'],
  containers_failed: ['containers_failed_total', 'Readings of containers that failed.'],
  storage_batches_written: ['storage_batches_written_total', 'Batches of rows that were stored.'],
  storage_batches_failed: ['storage_batches_failed_total', 'Attempts to store a batch that failed.'],
  storage_metrics_written: ['storage_rows_written_total', 'Rows that were stored.'],
  storage_metrics_failed: ['storage_rows_lost_total', 'Rows that were dropped for good.'],
  retry_queue_size: ['retry_queue_batches', 'Batches that wait to be stored again.'],
  retry_batches_processed: ['retry_batches_total', 'Batches that were tried again.'],
  retry_batches_success: ['retry_batches_written_total', 'Batches that were stored when they were tried again.'],
  active_subscribers: ['subscribers', 'Listeners of live metrics.'],
  slow_subscribers: ['slow_subscribers', 'Listeners for whom something has waited too long.'],
  subscriber_overflows: ['subscriber_overflows_total', 'Rounds that were conflated for a slow listener.'],
  live_metrics_cache_size: ['live_cache_samples', 'Samples in the live cache.'],
  previous_stats_cache_size: ['previous_readings', 'Readings that differences are taken from.'],
  circuit_breaker_state: ['circuit_breaker_state', 'Breaker of Docker: 0 closed, 1 open, 2 half-open.'],
  circuit_breaker_failures: ['circuit_breaker_failures', 'Calls to Docker that failed in a row.'],
  healthy: ['healthy', '1 while the streamer does its work.'],
  consecutive_failures: ['health_check_failures', 'Health checks that failed in a row.'],
  last_collection_time: ['last_collection_timestamp_seconds', 'When the newest round ended; 0 before the first.'],
  last_storage_time: ['last_storage_timestamp_seconds', 'When rows were stored last; 0 before the first time.'],
  last_health_check_time: ['last_health_check_timestamp_seconds', 'When health was checked last; 0 before the first.'],
};

/** Creates the counters of a streamer from its own answer, read at each scrape, and Node's own. */
export function createStreamerTelemetry(observe: () => Observability & { readonly storage: StorageState }): Registry {
  const registry = createProcessRegistry();
  for (const [key, [name, help]] of Object.entries(EXPOSED)) {
    new Gauge({
      ...{ name: `obiente_streamer_${name}`, help, registers: [registry] },
      collect() {
        this.set(toNumber(observe()[key as keyof Observability]));
      },
    });
  }
  new Gauge({
    name: 'obiente_streamer_spool_age_seconds',
    help: 'Age of the oldest row that waits for the metrics database; 0 when none waits.',
    registers: [registry],
    collect() {
      this.set(observe().storage.spoolAgeSeconds ?? 0);
    },
  });
  return registry;
}

function toNumber(value: number | boolean | string | null): number {
  if (typeof value === 'string') return Date.parse(value) / 1_000;
  return Number(value ?? 0);
}
