import { BREAKER_CODE, type Breaker } from '../domain/metrics/circuit-breaker.ts';
import type { Observability } from '../domain/metrics/observability.ts';
import type { StorageState } from '../domain/metrics/storage-state.ts';
import type { Health } from './health.ts';
import type { Pace } from './pace.ts';
import type { Round } from './sampler.ts';
import type { Subscribers } from './subscribers.ts';
import type { WriterCounts } from './writer.ts';

/** Rounds of the last minute make the rate. */
const RATE_WINDOW_MS = 60_000;

/** Where the figures come from. */
export interface ObservabilitySources {
  readonly writer: () => WriterCounts;
  readonly subscribers: () => ReturnType<Subscribers['state']>;
  readonly liveSamples: () => number;
  readonly rememberedReadings: () => number;
  readonly breaker: () => Breaker;
  readonly health: () => Health;
  readonly pace: Pick<Pace, 'level' | 'intervalMs'>;
  /** What waits for a database, or was given up. */
  readonly storage: () => StorageState;
  readonly now: () => number;
}

/** What a streamer tells the control plane of itself. */
export interface ObservedStreamer extends Observability {
  readonly storage: StorageState;
  /** What is wrong, and what else somebody may want to know, for people. */
  readonly problems: readonly string[];
  readonly notices: readonly string[];
}

/** Tells operators what the streamer does. */
export interface Observer {
  /** Counts a round that has ended. */
  sawRound(round: Round): void;
  /** Notes that rows were written. */
  sawStorage(): void;
  /** Whether the newest round read something, or had nothing to read. */
  isReading(): boolean;
  /** Time since a round ended, milliseconds; `undefined` before the first. */
  sinceRoundMs(): number | undefined;
  /** All that is known. What operators read of it are the 24 keys. */
  snapshot(): ObservedStreamer;
}

/** Creates the stage that counts. A round in which nothing could be read is a failed collection; an idle one is not. */
export function createObserver(sources: ObservabilitySources): Observer {
  const totals = { collections: 0, errors: 0, processed: 0, failed: 0 };
  const recent: number[] = [];
  let [lastRoundMs, lastStorageMs]: [number | null, number | null] = [null, null];
  let isReading = true;
  let [byCgroup, byDocker] = [0, 0];

  const rate = (): number => {
    const since = sources.now() - RATE_WINDOW_MS;
    while (recent[0] !== undefined && recent[0] < since) recent.shift();
    return recent.length / (RATE_WINDOW_MS / 1000);
  };

  return {
    sawRound: ({ samples, failed }) => {
      byCgroup = samples.filter(({ source }) => source === 'cgroup').length;
      byDocker = samples.length - byCgroup;
      isReading = samples.length > 0 || failed === 0;
      totals.collections += 1;
      totals.processed += samples.length;
      totals.failed += failed;
      if (!isReading) totals.errors += 1;
      lastRoundMs = sources.now();
      recent.push(lastRoundMs);
      rate();
    },
    sawStorage: () => {
      lastStorageMs = sources.now();
    },
    isReading: () => isReading,
    sinceRoundMs: () => (lastRoundMs === null ? undefined : sources.now() - lastRoundMs),
    snapshot: () => {
      const [writer, subscribers, breaker, health] = [
        sources.writer(),
        sources.subscribers(),
        sources.breaker(),
        sources.health(),
      ];
      return {
        collection_count: totals.collections,
        collection_errors: totals.errors,
        collections_per_second: rate(),
        containers_processed: totals.processed,
        containers_failed: totals.failed,
        storage_batches_written: writer.batchesWritten,
        storage_batches_failed: writer.batchesFailed,
        storage_metrics_written: writer.rowsWritten,
        storage_metrics_failed: writer.rowsLost,
        retry_queue_size: writer.retryQueue,
        retry_batches_processed: writer.retries,
        retry_batches_success: writer.retriesWritten,
        active_subscribers: subscribers.active,
        slow_subscribers: subscribers.slow,
        subscriber_overflows: subscribers.overflows,
        live_metrics_cache_size: sources.liveSamples(),
        previous_stats_cache_size: sources.rememberedReadings(),
        circuit_breaker_state: BREAKER_CODE[breaker.kind],
        circuit_breaker_failures: breaker.failures,
        healthy: health.healthy,
        consecutive_failures: health.consecutiveFailures,
        last_collection_time: toTime(lastRoundMs),
        last_storage_time: toTime(lastStorageMs),
        last_health_check_time: toTime(health.checkedAtMs),
        degradation_level: sources.pace.level(),
        collection_interval_ms: sources.pace.intervalMs(),
        containers_read_by_cgroup: byCgroup,
        containers_read_by_docker: byDocker,
        storage: sources.storage(),
        problems: health.problems,
        notices: health.notices,
      };
    },
  };
}

function toTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
