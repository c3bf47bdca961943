import { join } from 'node:path';
import { createCgroupSource, findCgroupVersion } from '../../adapters/cgroup/cgroup-source.ts';
import { createHostSource } from '../../adapters/cgroup/host-files.ts';
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
import { createClosingProbe, createDockerGate } from '../../streamer/gate.ts';
import { keyOfItem, type LiveItem } from '../../streamer/gateway.ts';
import { createHealthCheck } from '../../streamer/health.ts';
import { createLiveCache } from '../../streamer/live-cache.ts';
import { createMinuteAggregator } from '../../streamer/minute-aggregator.ts';
import { createNodeTotals } from '../../streamer/node-totals.ts';
import { createObserver } from '../../streamer/observability.ts';
import { createPace, type Pace } from '../../streamer/pace.ts';
import type { Stages } from '../../streamer/pipeline.ts';
import { type NodeSource, type RowStore, SYSTEM_CLOCK } from '../../streamer/ports.ts';
import { createSampler } from '../../streamer/sampler.ts';
import { createSourceChoice } from '../../streamer/source-choice.ts';
import { createSubscribers, type Subscribers } from '../../streamer/subscribers.ts';
import { createTargets } from '../../streamer/targets.ts';
import { createRowWriter, type RowWriter } from '../../streamer/writer.ts';

/** How long a way of reading that failed for a container is left alone for it. */
const SOURCE_RETRY_MS = 60_000;

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
export function createStages(
  config: StreamerConfig,
  { stores, nodeId, log }: { stores: RowStores; nodeId: () => string; log: Log },
): LiveStages {
  const { now, monotonic } = SYSTEM_CLOCK;
  const pace = createPace({ normalMs: config.METRICS_COLLECTION_INTERVAL });
  const docker = createDockerSide(config, pace, log);
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
    probeDocker: createClosingProbe(docker.gate, docker.directory.listContainerIds),
    isReading: () => observer.isReading(),
    observe: () => ({
      ...{ sinceRoundMs: observer.sinceRoundMs(), intervalMs: pace.intervalMs() },
      ...{ lagMs: pace.lagMs(), isBreakerOpen: docker.gate.current().kind === 'open' },
      ...{ slowSubscribers: subscribers.state().slow, spoolAgeSeconds: writer.storage(now()).spoolAgeSeconds },
    }),
    failureThreshold: config.METRICS_HEALTH_CHECK_FAILURE_THRESHOLD,
    againMs: config.METRICS_HEALTH_CHECK_INTERVAL / config.METRICS_HEALTH_CHECK_FAILURE_THRESHOLD,
    now,
  });
  const observer = createObserver({
    writer: writer.counts,
    storage: () => writer.storage(now()),
    subscribers: subscribers.state,
    liveSamples: cache.size,
    rememberedReadings: aggregator.size,
    breaker: docker.gate.current,
    health: health.current,
    pace,
    now,
  });
  const sampler = createSampler({ source: docker.source, maxWorkers: config.METRICS_MAX_WORKERS });
  const nodeTotals = createNodeTotals({
    source: openHost(docker.dockerFolder, log),
    nodeId,
    minuteMs: config.METRICS_STORAGE_INTERVAL,
    restored: left?.node,
  });
  const restored = left?.open.map(({ containerId }) => containerId);
  const discovery = createDiscovery(docker.directory, restored);
  return { discovery, pace, sampler, nodeTotals, cache, subscribers, aggregator, writer, observer, health };
}

function createDockerSide(config: StreamerConfig, pace: Pace, log: Log) {
  const instance = config.OBIENTE_INSTANCE;
  const connection = createDockerConnection({
    socketPath: config.DOCKER_SOCKET,
    requestTimeoutMs: config.METRICS_DOCKER_API_TIMEOUT,
  });
  const gate = createDockerGate({
    breaker: {
      failureThreshold: config.METRICS_CIRCUIT_BREAKER_FAILURE_THRESHOLD,
      cooldownMs: config.METRICS_CIRCUIT_BREAKER_COOLDOWN,
      halfOpenSuccesses: config.METRICS_CIRCUIT_BREAKER_HALFOPEN_MAX,
    },
    retry: {
      maxRetries: config.METRICS_DOCKER_RETRY_MAX,
      initialPauseMs: config.METRICS_DOCKER_BACKOFF_INITIAL,
      maxPauseMs: config.METRICS_DOCKER_BACKOFF_MAX,
    },
    clock: SYSTEM_CLOCK,
    random: Math.random,
  });
  const portable = createDockerStatsSource(connection, {
    gate: gate.pass,
    maxWorkers: config.METRICS_MAX_WORKERS,
    deadlineMs: pace.deadlineMs,
  });
  const version = findCgroupVersion();
  if (version === undefined) log.warn('the kernel shows no cgroups here: containers are read by asking docker');
  else log.info({ version }, 'containers are read from the files of cgroups');
  const sources = version === undefined ? [portable] : [createCgroupSource(), portable];
  return {
    gate,
    source: createSourceChoice({ sources, retryMs: SOURCE_RETRY_MS, clock: SYSTEM_CLOCK }),
    dockerFolder: async (): Promise<string> =>
      String((await connection.call('ask docker for its folder', () => connection.impatient.info())).DockerRootDir),
    directory: {
      ...createDockerContainers(connection, { instance, nodeAddress: '' }),
      ...createDockerMeteredContainers(connection, instance),
      ...createDockerEvents(connection, instance),
    },
  };
}

/** `undefined` where the host's files are not there: nothing is told of the node then, and all else works. */
function openHost(dockerFolder: () => Promise<string>, log: Log): NodeSource | undefined {
  try {
    return createHostSource({ dockerFolder });
  } catch (err) {
    log.warn({ err }, 'the host cannot be read, so there are no figures of the node');
    return undefined;
  }
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
