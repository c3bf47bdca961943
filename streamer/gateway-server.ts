import { once } from 'node:events';
import { constants, createServer, Http2ServerRequest, type ServerHttp2Session } from 'node:http2';
import {
  Code,
  ConnectError,
  createContextKey,
  createContextValues,
  type HandlerContext,
  type Interceptor,
  type ServiceImpl,
} from '@connectrpc/connect';
import { type ConnectNodeAdapterOptions, connectNodeAdapter } from '@connectrpc/connect-node';
import { createValidateInterceptor } from '@connectrpc/validate';
import { isDomainError } from '../domain/errors.ts';
import { StreamerGatewayService } from '../gen/obiente/internal/v1/gateways_pb.ts';

/** Requests hold two ids; anything much larger is not one. */
const MAX_REQUEST_BYTES = 16 * 1024;

/** Streams on one connection: an API process opens one per watched deployment and client. */
const MAX_STREAMS = 10_000;

/**
 * Streams that a caller may reset at once, and a second after that. Node's own bounds, 1,000 and 33, are for strangers: here
 * every viewer who leaves is a reset on the one connection of an API process, and beyond the bound all of its streams end.
 */
const RESETS = { streamResetBurst: MAX_STREAMS, streamResetRate: 1_000 };

/** Where the gateway listens, and who may call it. */
export interface GatewayServerOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly service: ServiceImpl<typeof StreamerGatewayService>;
  /** @throws UNAUTHENTICATED unless the request's headers carry a token for this streamer. */
  readonly authenticate: (headers: Headers) => Promise<void>;
}

/** A server that listens. */
export interface GatewayServer {
  readonly port: number;
  /** Ends all streams with `unavailable`, which callers take for "try again", and closes the connections. */
  close(): Promise<void>;
}

const RESET = createContextKey<() => void>(() => undefined, { description: 'cuts off the caller' });

/**
 * How to cut off the caller of a stream who does not read: what was written waits for him, and an error behind it would
 * wait as well. He sees `resource_exhausted`.
 */
export function resetOf({ values }: HandlerContext): () => void {
  return values.get(RESET);
}

type Incoming = Parameters<NonNullable<ConnectNodeAdapterOptions['contextValues']>>[0];

function withReset(request: Incoming) {
  const values = createContextValues();
  if (!(request instanceof Http2ServerRequest)) return values;
  return values.set(RESET, () => request.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM));
}

/** Serves the gateway over cleartext HTTP/2 on the node's private address. */
export async function openGatewayServer(options: GatewayServerOptions): Promise<GatewayServer> {
  const shutdown = new AbortController();
  const handler = connectNodeAdapter({
    routes: (router) => router.service(StreamerGatewayService, options.service),
    interceptors: [requireToken(options.authenticate), createValidateInterceptor()],
    readMaxBytes: MAX_REQUEST_BYTES,
    shutdownSignal: shutdown.signal,
    contextValues: withReset,
  });
  const server = createServer({ settings: { maxConcurrentStreams: MAX_STREAMS }, ...RESETS }, handler);
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    session.on('error', () => session.destroy());
  });
  server.listen({ host: options.host, port: options.port });
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : options.port,
    close: async () => {
      shutdown.abort(new ConnectError('this streamer stops', Code.Unavailable));
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const session of sessions) session.close();
      const forced = setTimeout(() => {
        for (const session of sessions) session.destroy();
      }, CLOSE_GRACE_MS);
      await closed;
      clearTimeout(forced);
    },
  };
}

/** How long a caller that does not read its streams' end may hold up a stop. */
const CLOSE_GRACE_MS = 1_000;

function requireToken(authenticate: (headers: Headers) => Promise<void>): Interceptor {
  return (next) => async (request) => {
    try {
      await authenticate(request.header);
    } catch (error) {
      const why = isDomainError(error) ? error.message : 'the token could not be checked';
      throw new ConnectError(why, Code.Unauthenticated);
    }
    return await next(request);
  };
}
