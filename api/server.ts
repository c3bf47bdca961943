import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer as createHttp2Server, type Http2Server, type ServerHttp2Session } from 'node:http2';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { DomainError } from '../domain/errors.ts';
import { keepAlive } from './keep-alive.ts';
import { splitProtocol } from './protocol-split.ts';
import { createRequestListener, type ListenerDeps, type RequestListener } from './request-listener.ts';

/** Bounds of what one process takes on; beyond them connections and streams are refused, not queued. */
const LIMITS = {
  connections: 4_000,
  streamsPerConnection: 250,
  headerBytes: 16 * 1024,
  headersTimeoutMs: 10_000,
  /** Time to receive one whole request over HTTP/1.1: an upload of 512 MiB at 1 MB/s. Answers may last for ever. */
  requestTimeoutMs: 10 * 60_000,
  /** Longer than the 60 s after which common load balancers drop an idle connection. */
  idleMs: 75_000,
} as const;

/** Where the server listens, and what answers. */
export interface ApiServerOptions extends ListenerDeps {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
}

/** A server that answers. */
export interface ApiServer {
  readonly port: number;
  /** Why it takes no new work; `undefined` while it does. */
  readonly draining: () => string | undefined;
  /**
   * Stops in order: no new connections, streams end with `unavailable`, calls under way get `graceMs` to finish, then
   * every connection is closed.
   */
  stop(graceMs: number): Promise<void>;
}

/** Listens on one port for HTTP/1.1 and cleartext HTTP/2. @throws CONFIGURATION when the port is taken. */
export async function openApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { listener, endStreams } = createRequestListener(options);
  const sessions = new Set<ServerHttp2Session>();
  const sockets = new Set<Socket>();
  let reason: string | undefined;
  const servers = { http1: openHttp1(listener, () => reason !== undefined), http2: openHttp2(listener, sessions) };
  const front = createServer({ noDelay: true, keepAlive: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    splitProtocol(socket, servers);
  });
  front.maxConnections = LIMITS.connections;
  await listening(front, options);
  return {
    port: (front.address() as AddressInfo).port,
    draining: () => reason,
    stop: async (graceMs) => {
      reason = 'the process is stopping';
      const closed = new Promise<void>((resolve) => front.close(() => resolve()));
      endStreams();
      for (const session of sessions) session.close();
      servers.http1.closeIdleConnections();
      const force = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, graceMs);
      await closed;
      clearTimeout(force);
    },
  };
}

function openHttp1(listener: RequestListener, isStopping: () => boolean): HttpServer {
  const server = createHttpServer({
    maxHeaderSize: LIMITS.headerBytes,
    headersTimeout: LIMITS.headersTimeoutMs,
    requestTimeout: LIMITS.requestTimeoutMs,
    keepAliveTimeout: LIMITS.idleMs,
  });
  server.on('request', (request, response) => {
    // What was under way when the stop began leaves an idle connection behind.
    response.once('close', () => setImmediate(() => isStopping() && server.closeIdleConnections()));
    if (isStopping()) response.shouldKeepAlive = false;
    listener(request, response);
  });
  // Node starts the clock of the two timeouts when a server listens; this one gets its connections from the front.
  server.emit('listening');
  return server;
}

function openHttp2(listener: RequestListener, sessions: Set<ServerHttp2Session>): Http2Server {
  const server = createHttp2Server({
    settings: { maxConcurrentStreams: LIMITS.streamsPerConnection, maxHeaderListSize: LIMITS.headerBytes },
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
  });
  server.on('request', listener as never);
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    session.on('error', () => session.destroy());
    keepAlive(session);
  });
  return server;
}

function listening(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === 'EADDRINUSE';
      const message = isTaken ? `port ${port} on ${host} is taken` : `cannot listen on ${host}:${port} (${error.code})`;
      const hint = isTaken ? 'Set API_PORT to a free port.' : 'Set BIND_ADDRESS to an address of this host.';
      reject(new DomainError('CONFIGURATION', message, { hint, cause: error }));
    });
    server.listen({ host, port }, resolve);
  });
}
