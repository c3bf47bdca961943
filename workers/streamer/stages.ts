import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createCgroupSource } from '../../adapters/cgroup/cgroup-source.ts';
import { createDockerConnection } from '../../adapters/docker/connection.ts';
import { createDockerContainers } from '../../adapters/docker/containers.ts';
import { createDockerEvents } from '../../adapters/docker/events.ts';
import { createDockerMeteredContainers } from '../../adapters/docker/metered-containers.ts';
import { createDockerStatsSource } from '../../adapters/docker/stats.ts';
import type { Log } from '../../adapters/logging/log.ts';
import { createCheckpointFile } from '../../adapters/node-files/checkpoint-file.ts';
import type { StreamerConfig } from '../../config/streamer.ts';
import { createDiscovery } from '../../streamer/discovery.ts';
import { createDockerGate } from '../../streamer/gate.ts';
import { createHealthCheck } from '../../streamer/health.ts';
import { createLiveCache } from '../../streamer/live-cache.ts';
import { createMinuteAggregator } from '../../streamer/minute-aggregator.ts';
import { createObserver } from '../../streamer/observability.ts';
import type { Stages } from '../../streamer/pipeline.ts';
import { type RowStore, SYSTEM_CLOCK } from '../../streamer/ports.ts';
import { createSampler } from '../../streamer/sampler.ts';
import { createSubscribers } from '../../streamer/subscribers.ts';
import { createRowWriter, type RowWriter } from '../../streamer/writer.ts';

/** Part of the interval that a round may take; the rest is for handing its samples on. */
const ROUND_SHARE = 0.9;

const FIRST_RETRY_MS = 1_000;

/** Puts the stages together from the configuration, and takes up what the process before has left. */
export async function createStages(config: StreamerConfig, store: RowStore, log: Log): Promise<Stages> {
  const { now, monotonic } = SYSTEM_CLOCK;
  const docker = createDockerSide(config);
  const checkpoints = createCheckpointFile(join(config.OBIENTE_STATE_DIR, 'metrics-checkpoint.json'), (err) =>
    log.warn({ err }, 'the checkpoint cannot be read and is left out'),
  );
  const left = await checkpoints.load();
  const aggregator = createMinuteAggregator({
    minuteMs: config.METRICS_STORAGE_INTERVAL,
    maxContainers: config.METRICS_MAX_PREVIOUS_STATS,
    restored: left?.state ?? { knownSinceMs: now(), open: [] },
    now,
  });
  const cache = createLiveCache({
    retentionMs: config.METRICS_LIVE_RETENTION,
    intervalMs: config.METRICS_COLLECTION_INTERVAL,
    maxPerDeployment: config.METRICS_MAX_LIVE_PER_DEPLOYMENT,
  });
  const subscribers = createSubscribers({
    bufferRounds: config.METRICS_SUBSCRIBER_BUFFER_SIZE,
    slowAfterMs: config.METRICS_SUBSCRIBER_SLOW_THRESHOLD,
    monotonic,
  });
  const insertRows: RowStore['insertRows'] = async (batch) => {
    const stored = await store.insertRows(batch);
    observer.sawStorage();
    return stored;
  };
  const writer = createWriter(config, { ...store, insertRows }, log);
  const lag = monitorEventLoopDelay();
  lag.enable();
  const health = createHealthCheck({
    probeDocker: docker.directory.listContainerIds,
    isReading: () => observer.isReading(),
    observe: () => ({
      ...{ sinceRoundMs: observer.sinceRoundMs(), intervalMs: config.METRICS_COLLECTION_INTERVAL },
      ...{ lagMs: lag.mean / 1e6, isBreakerOpen: docker.gate.current().kind === 'open' },
      slowSubscribers: subscribers.state().slow,
    }),
    failureThreshold: config.METRICS_HEALTH_CHECK_FAILURE_THRESHOLD,
    againMs: config.METRICS_HEALTH_CHECK_INTERVAL / config.METRICS_HEALTH_CHECK_FAILURE_THRESHOLD,
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
  const restored = left?.state.open.map(({ containerId }) => containerId);
  const discovery = createDiscovery(docker.directory, restored);
  writer.enqueue(left?.pending ?? []);
  return { discovery, sampler, cache, subscribers, aggregator, writer, checkpoints, observer, health };
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

function createWriter(config: StreamerConfig, store: RowStore, log: Log): RowWriter {
  return createRowWriter({
    store,
    batchRows: config.METRICS_BATCH_SIZE,
    maxBatches: config.METRICS_RETRY_MAX_QUEUE_SIZE,
    maxAttempts: config.METRICS_RETRY_MAX_RETRIES,
    firstPauseMs: Math.min(FIRST_RETRY_MS, config.METRICS_RETRY_INTERVAL),
    longestPauseMs: config.METRICS_RETRY_INTERVAL,
    random: Math.random,
    onLost: (rows, err) => log.error({ rows, err }, 'minute rows were given up'),
  });
}
