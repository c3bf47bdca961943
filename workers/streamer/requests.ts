import { join } from 'node:path';
import type { Log } from '../../adapters/logging/log.ts';
import { createRequestStateFile } from '../../adapters/node-files/request-state-file.ts';
import { createIngressCounters } from '../../adapters/traefik/request-readings.ts';
import type { StreamerConfig } from '../../config/streamer.ts';
import { toBatches } from '../../domain/metrics/rows.ts';
import { createLiveRequests, type LiveRequests } from '../../streamer/live-requests.ts';
import { SYSTEM_CLOCK } from '../../streamer/ports.ts';
import { createRequestCollector, type RequestCollector } from '../../streamer/request-collector.ts';
import type { RowWriter } from '../../streamer/writer.ts';

/** The counting of requests: what is known of the last minutes, and what makes rows of it. */
export interface Requests {
  readonly live: LiveRequests;
  readonly collector: RequestCollector;
}

/** Puts together the counting of requests; `undefined` on a node without an ingress. */
export function createRequests(
  config: StreamerConfig,
  { writer, nodeId, log }: { writer: Pick<RowWriter, 'keep'>; nodeId: () => string | undefined; log: Log },
): Requests | undefined {
  if (config.METRICS_INGRESS_URL === undefined) return undefined;
  const live = createLiveRequests({
    retentionMs: config.METRICS_LIVE_RETENTION,
    intervalMs: config.METRICS_COLLECTION_INTERVAL,
  });
  const collector = createRequestCollector({
    live,
    ingress: createIngressCounters(config.METRICS_INGRESS_URL),
    states: createRequestStateFile(join(config.OBIENTE_STATE_DIR, 'metrics-requests.json'), (err) =>
      log.warn({ err }, 'what the process before counted of requests cannot be read and is left out'),
    ),
    onRows: (rows) => writer.keep(toBatches({ kind: 'request', rows }, config.METRICS_BATCH_SIZE)),
    onTrouble: (what, err) => log.warn({ err }, what),
    nodeId: () => nodeId() ?? '',
    intervalMs: config.METRICS_COLLECTION_INTERVAL,
    minuteMs: config.METRICS_STORAGE_INTERVAL,
    clock: SYSTEM_CLOCK,
  });
  return { live, collector };
}
