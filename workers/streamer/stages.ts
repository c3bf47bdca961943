import { join } from 'node:path';
import { createCgroupSource } from '../../adapters/cgroup/cgroup-source.ts';
import { createDockerConnection } from '../../adapters/docker/connection.ts';
import { createDockerContainers } from '../../adapters/docker/containers.ts';
import { createDockerEvents } from '../../adapters/docker/events.ts';
import { createDockerMeteredContainers } from '../../adapters/docker/metered-containers.ts';
import { createDockerStatsSource } from '../../adapters/docker/stats.ts';
import type { Log } from '../../adapters/logging/log.ts';
import { openMetricsSpool } from '../../adapters/node-files/metrics-spool.ts';
import type { StreamerConfig } from '../../config/streamer.ts';
import type { Spool } from '../../streamer/checkpoint.ts';
import { createDiscovery } from '../../streamer/discovery.ts';
import { createDockerGate } from '../../streamer/gate.ts';
import { keyOfItem, type LiveItem } from '../../streamer/gateway.ts';
import { createHealthCheck } from '../../streamer/health.ts';
import { createLiveCache } from '../../streamer/live-cache.ts';
import { createMinuteAggregator } from '../../streamer/minute-aggregator.ts';
import { createObserver } from '../../streamer/observability.ts';
import type { Stages } from '../../streamer/pipeline.ts';
import { type RowStore, SYSTEM_CLOCK } from '../../streamer/ports.ts';
import { createSampler } from '../../streamer/sampler.ts';
import { createSubscribers, type Subscribers } from '../../streamer/subscribers.ts';
import { createTargets } from '../../streamer/targets.ts';
import { createRowWriter, type RowWriter } from '../../streamer/writer.ts';

/** Part of the interval that a round may take; the rest is for handing its samples on. */
const ROUND_SHARE = 0.9;

const FIRST_RETRY_MS = 1_000;

/** Where rows go. */
export interface RowStores {
  readonly primary: RowStore;
  /** Takes them while the metrics database is away. */
  readonly fallback?: RowStore;
}

/** The stages, with subscribers who are told of requests as well. */
export interface LiveStages extends Stages {
  readonly subscribers: Subscribers<LiveItem>;
}

/** Puts the stages together from the configuration, and takes up what the process before has left. */
export function createStages(config: StreamerConfig, stores: RowStores, log: Log): LiveStages {
  const { now, monotonic } = SYSTEM_CLOCK;
  const docker = createDockerSide(config);
  const spool = openSpool(config, log);
  const left = spool.state();
  const aggregator = createMinuteAggregator({
    minuteMs: config.METRICS_STORAGE_INTERVAL,
    maxContainers: config.METRICS_MAX_PREVIOUS_STATS,
    restored: left ?? { knownSinceMs: now(), open: [] },
    now,
  });
  const cache = createLiveCache({
    retentionMs: config.METRICS_LIVE_RETENTION,
    intervalMs: config.METRICS_COLLECTION_INTERVAL,
    maxPerDeployment: config.METRICS_MAX_LIVE_PER_DEPLOYMENT,
  });
  const subscribers = createSubscribers<LiveItem>({
    bufferRounds: config.METRICS_SUBSCRIBER_BUFFER_SIZE,
    slowAfterMs: config.METRICS_SUBSCRIBER_SLOW_THRESHOLD,
    stuckAfterMs: config.METRICS_SUBSCRIBER_CLEANUP_INTERVAL,
    keyOf: keyOfItem,
    monotonic,
  });
  const seen = (store: RowStore): RowStore => ({
    probe: store.probe,
    insertRows: async (batch) => {
      const stored = await store.insertRows(batch);
      observer.sawStorage();
      return stored;
    },
  });
  const writer = createWriter(config, { stores, seen, spool }, log);
  const health = createHealthCheck({
    probeDocker: docker.directory.listContainerIds,
    isReading: () => observer.isReading(),
    failureThreshold: config.METRICS_HEALTH_CHECK_FAILURE_THRESHOLD,
    now,
  });
  const observer = createObserver({
    writer: writer.counts,
    subscribers: subscribers.state,
    liveSamples: cache.size,
    rememberedReadings: aggregator.size,
    breaker: docker.gate.current,
    health: health.current,
    now,
  });
  const sampler = createSampler({
    sources: docker.sources,
    maxWorkers: config.METRICS_MAX_WORKERS,
    deadlineMs: config.METRICS_COLLECTION_INTERVAL * ROUND_SHARE,
  });
  const restored = left?.open.map(({ containerId }) => containerId);
  const discovery = createDiscovery(docker.directory, restored);
  return { discovery, sampler, cache, subscribers, aggregator, writer, observer, health };
}

function createDockerSide(config: StreamerConfig) {
  const instance = config.OBIENTE_INSTANCE;
  const connection = createDockerConnection({
    socketPath: config.DOCKER_SOCKET,
    requestTimeoutMs: config.METRICS_DOCKER_API_TIMEOUT,
  });
  const rules = {
    failureThreshold: config.METRICS_CIRCUIT_BREAKER_FAILURE_THRESHOLD,
    cooldownMs: config.METRICS_CIRCUIT_BREAKER_COOLDOWN,
    halfOpenSuccesses: config.METRICS_CIRCUIT_BREAKER_HALFOPEN_MAX,
  };
  const gate = createDockerGate(rules, SYSTEM_CLOCK);
  return {
    gate,
    sources: [createCgroupSource(), createDockerStatsSource(connection, { gate: gate.pass })],
    directory: {
      ...createDockerContainers(connection, { instance, nodeAddress: '' }),
      ...createDockerMeteredContainers(connection, instance),
      ...createDockerEvents(connection, instance),
    },
  };
}

function openSpool(config: StreamerConfig, log: Log): Spool {
  return openMetricsSpool({
    path: join(config.OBIENTE_STATE_DIR, 'metrics-spool.db'),
    formerFile: join(config.OBIENTE_STATE_DIR, 'metrics-checkpoint.json'),
    maxBytes: config.METRICS_SPOOL_MAX_BYTES,
    now: SYSTEM_CLOCK.now,
    onUnusable: (err) => log.warn({ err }, 'what the process before kept of metrics cannot be read and is left out'),
    onDropped: (rows) => log.error({ rows }, 'the spool of metrics is full: its oldest rows were given up'),
  });
}

function createWriter(
  config: StreamerConfig,
  { stores, seen, spool }: { stores: RowStores; seen: (store: RowStore) => RowStore; spool: Spool },
  log: Log,
): RowWriter {
  const targets = createTargets({
    primary: seen(stores.primary),
    ...(stores.fallback ? { fallback: seen(stores.fallback) } : {}),
    firstPauseMs: Math.min(FIRST_RETRY_MS, config.METRICS_RETRY_INTERVAL),
    longestPauseMs: config.METRICS_RETRY_INTERVAL,
    random: Math.random,
  });
  targets.onSwitch((to, from) => log.warn({ to, from }, 'rows of metrics go elsewhere from now on'));
  return createRowWriter({
    ...{ targets, spool },
    maxBatches: config.METRICS_RETRY_MAX_QUEUE_SIZE,
    maxAttempts: config.METRICS_RETRY_MAX_RETRIES,
    drainRowsPerSecond: config.METRICS_DRAIN_ROWS_PER_SECOND,
    onLost: (rows, err) => log.error({ rows, err }, 'minute rows were given up'),
    onUnkept: (err) => log.error({ err }, 'the disk takes no rows of metrics: they are in memory only'),
  });
}
