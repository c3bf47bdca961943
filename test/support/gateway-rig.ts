import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { tolerateLateSessionErrors } from '../../adapters/http2/late-session-errors.ts';
import type { Observability } from '../../domain/metrics/observability.ts';
import { StreamerGatewayService } from '../../gen/obiente/internal/v1/gateways_pb.ts';
import { createStreamerGateway, keyOfItem, type LiveItem } from '../../streamer/gateway.ts';
import { openGatewayServer, resetOf } from '../../streamer/gateway-server.ts';
import { createLiveCache } from '../../streamer/live-cache.ts';
import { createSubscribers, type SubscribersOptions } from '../../streamer/subscribers.ts';

const STREAM_PATH = '/obiente.internal.v1.StreamerGatewayService/StreamSamples';

/** The real gateway of a streamer, on a port of its own, fed by the test. Whoever calls is let in. */
export async function openGatewayRig(patience: Partial<Omit<SubscribersOptions<LiveItem>, 'keyOf'>> = {}) {
  const cache = createLiveCache({ retentionMs: 300_000, intervalMs: 5_000, maxPerDeployment: 1_000 });
  const subscribers = createSubscribers<LiveItem>({
    ...{ bufferRounds: 100, slowAfterMs: 5_000, stuckAfterMs: 60_000, monotonic: () => performance.now() },
    ...patience,
    keyOf: keyOfItem,
  });
  const server = await openGatewayServer({
    ...{ host: '127.0.0.1', port: 0, authenticate: async () => undefined },
    service: createStreamerGateway({
      ...{ cache, subscribers, resetOf, nodeId: () => 'node', intervalMs: () => 5_000 },
      observability: () => ({}) as Observability,
    }),
  });
  const url = `http://127.0.0.1:${server.port}`;
  tolerateLateSessionErrors();
  return {
    ...{ cache, subscribers, url },
    client: () => createClient(StreamerGatewayService, createConnectTransport({ baseUrl: url, httpVersion: '2' })),
    close: () => server.close(),
  };
}

/** Opens the stream by hand, over a connection whose window is so small that what is not read stays with the server. */
export function openRawStream(
  url: string,
  deploymentId: string,
  windowBytes: number,
): { readonly session: ClientHttp2Session; readonly stream: ClientHttp2Stream } {
  const session = connect(url, { settings: { initialWindowSize: windowBytes } });
  session.on('error', () => undefined);
  const message = Buffer.from(JSON.stringify({ deploymentId }));
  const head = Buffer.from([0, 0, 0, 0, 0]);
  head.writeUInt32BE(message.length, 1);
  const stream = session.request({
    ...{ ':method': 'POST', ':path': STREAM_PATH, 'content-type': 'application/connect+json' },
  });
  stream.on('error', () => undefined);
  stream.end(Buffer.concat([head, message]));
  return { session, stream };
}
