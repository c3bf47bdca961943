import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../adapters/logging/log.ts';
import { watchFile } from '../adapters/node-files/watched-file.ts';
import { type MetricsDatabase, openMetricsDatabase } from '../adapters/timescale/metrics-database.ts';
import { createRowStore } from '../adapters/timescale/row-store.ts';
import { readBearerToken } from '../adapters/tokens/bearer.ts';
import { createControlTokenVerifier } from '../adapters/tokens/control-token.ts';
import { readEnvironment } from '../config/environment.ts';
import { type StreamerConfig, streamerVariables } from '../config/streamer.ts';
import { DomainError } from '../domain/errors.ts';
import { createStreamerGateway, type LiveItem } from '../streamer/gateway.ts';
import { openGatewayServer, resetOf } from '../streamer/gateway-server.ts';
import { startPipeline } from '../streamer/pipeline.ts';
import { SYSTEM_CLOCK } from '../streamer/ports.ts';
import type { Subscribers } from '../streamer/subscribers.ts';
import type { RunningRole } from './run-role.ts';
import { createRequests, type Requests } from './streamer/requests.ts';
import { createStages, type LiveStages } from './streamer/stages.ts';
import { openMetricsServerIf } from './telemetry/metrics-server.ts';
import { createStreamerTelemetry } from './telemetry/streamer-telemetry.ts';

/** How long a stop waits for the metrics database; what it did not take by then is in the spool. */
const FLUSH_MS = 5_000;

/**
 * Starts the role `streamer`: live metrics of this node's containers.
 *
 * It is up once it listens. Sampling begins as soon as the node role of this host has made the node's id, and calls are
 * accepted from when that one has received the control plane's keys: both are read from files in its folder.
 */
export async function startStreamer(environment: Record<string, string | undefined>, log: Log): Promise<RunningRole> {
  const config = readEnvironment(streamerVariables, environment);
  await mkdir(config.OBIENTE_STATE_DIR, { recursive: true, mode: 0o700 });
  const nodeId = await watchFile(join(config.NODE_KEY_DIR, 'node-id'));
  const jwks = await watchFile(join(config.NODE_KEY_DIR, 'control-jwks.json'));
  const databases = openDatabases(config);
  const [primary, fallback] = databases.map((db) => createRowStore(db, () => nodeId.current() ?? ''));
  if (!primary) throw new Error('a streamer has a metrics database');
  const stages = createStages(config, {
    stores: { primary, ...(fallback ? { fallback } : {}) },
    nodeId: () => nodeId.current() ?? '',
    log,
  });
  const requests = createRequests(config, { writer: stages.writer, nodeId: nodeId.current, log });
  const server = await openGatewayServer({
    host: config.BIND_ADDRESS,
    port: config.STREAMER_GATEWAY_PORT,
    service: createStreamerGateway({
      cache: stages.cache,
      subscribers: stages.subscribers,
      requests: requests?.live,
      observability: stages.observer.snapshot,
      nodeId: nodeId.current,
      intervalMs: stages.pace.intervalMs,
      degradationLevel: stages.pace.level,
      resetOf,
    }),
    authenticate: async (headers) => await authenticate(headers, nodeId.current(), jwks.current),
  });
  const sweeps = setInterval(() => closeStuck(stages.subscribers, log), config.METRICS_SUBSCRIBER_CLEANUP_INTERVAL);
  const registry = createStreamerTelemetry(stages.observer.snapshot);
  const metrics = await openMetricsServerIf(config.METRICS_PORT, { host: config.BIND_ADDRESS, registry });
  const stopping = new AbortController();
  const known = nodeId.untilPresent(stopping.signal);
  const counting = startOnceKnown(known, () => ({ ended: requests?.collector.run(stopping.signal) }));
  const pipeline = startOnceKnown(known, () => startPipeline(withRequests(stages, requests), timing(config, log)));
  return {
    stop: async () => {
      stopping.abort(new Error('the streamer stops'));
      clearInterval(sweeps);
      await server.close();
      await (await counting)?.ended;
      await metrics?.close();
      const running = await pipeline;
      if (running) await running.stop();
      else stages.writer.close();
      await Promise.all(databases.map((db) => db.destroy()));
      nodeId.close();
      jwks.close();
    },
  };
}

/** What is told in a round is of requests as well, where there is an ingress. */
function withRequests(stages: LiveStages, requests: Requests | undefined): LiveStages {
  const { subscribers } = stages;
  const publish = (samples: readonly LiveItem[]): void =>
    subscribers.publish([...samples, ...(requests?.collector.takeFresh() ?? [])]);
  return { ...stages, subscribers: { ...subscribers, publish } };
}

function closeStuck(subscribers: Pick<Subscribers, 'sweep'>, log: Log): void {
  const closed = subscribers.sweep();
  if (closed > 0) log.warn({ subscribers: closed }, 'subscribers that read nothing were closed');
}

/** The metrics database, and the one that stands in for it, if there is one. */
function openDatabases({ METRICS_DATABASE_URL, METRICS_FALLBACK_DATABASE_URL }: StreamerConfig): MetricsDatabase[] {
  const urls = [METRICS_DATABASE_URL, ...(METRICS_FALLBACK_DATABASE_URL ? [METRICS_FALLBACK_DATABASE_URL] : [])];
  return urls.map(openMetricsDatabase);
}

/** Starts something when the node is known; `undefined` when the streamer was stopped before. */
async function startOnceKnown<Started>(known: Promise<string>, start: () => Started): Promise<Started | undefined> {
  try {
    await known;
  } catch {
    // Stopped while waiting, so there is nothing to start.
    return undefined;
  }
  return start();
}

function timing(config: StreamerConfig, log: Log) {
  return {
    healthIntervalMs: config.METRICS_HEALTH_CHECK_INTERVAL,
    batchRows: config.METRICS_BATCH_SIZE,
    flushMs: FLUSH_MS,
    clock: SYSTEM_CLOCK,
    onTrouble: (what: string, err: unknown) => log.error({ err }, what),
  };
}

async function authenticate(
  headers: Headers,
  nodeId: string | undefined,
  getJwks: () => string | undefined,
): Promise<void> {
  if (nodeId === undefined) {
    throw new DomainError('UNAUTHENTICATED', 'this node has no id yet', { hint: 'Try again in a few seconds.' });
  }
  await createControlTokenVerifier({ getJwks, audience: `streamer:${nodeId}` }).verify(readBearerToken(headers));
}
