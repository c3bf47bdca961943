import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Endpoint, Served, Serving } from './fault-proxy.ts';
import type { Fault } from './fault-rules.ts';

/** A call under way. */
interface Call {
  readonly incoming: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly name: string;
  readonly fault: Fault | undefined;
}

/** Serves calls of gRPC over HTTP/2 in clear text; each caller's connection has one of its own to the real server. */
export function serveGrpc({ to, decide }: Serving): Served {
  const upstreams = new Set<ClientHttp2Session>();
  const server = createServer();
  server.on('session', (session) => {
    const upstream = connect(toUrl(to));
    upstreams.add(upstream);
    upstream.on('error', () => session.destroy());
    // A Temporal server ends every connection after five minutes: the caller is told, and makes another one.
    let isEnded = false;
    upstream.once('goaway', () => {
      isEnded = true;
      session.close();
    });
    upstream.once('close', () => {
      upstreams.delete(upstream);
      if (!isEnded) session.destroy();
    });
    session.on('error', () => undefined);
    // What was struck is carried out to its end even when the caller has left; everything else ends with its caller.
    session.once('close', () => upstream.close());
    session.on('stream', (incoming, headers) => {
      incoming.on('error', () => undefined);
      const name = `${headers[':method']} ${headers[':path']}`;
      void handle({ incoming, headers, name, fault: decide(name) }, upstream);
    });
  });
  return {
    // The server of node:http2 is one of node:net, which its types do not say.
    server: server as unknown as Server,
    close: () => {
      for (const upstream of upstreams) upstream.destroy();
    },
  };
}

function toUrl(to: Endpoint): string {
  if ('port' in to) return `http://127.0.0.1:${to.port}`;
  throw new Error('calls of gRPC are passed on to TCP ports only');
}

async function handle(call: Call, upstream: ClientHttp2Session): Promise<void> {
  const { incoming, name, fault } = call;
  if (fault?.kind === 'half-open') return;
  if (fault?.kind === 'drop') return incoming.close(constants.NGHTTP2_INTERNAL_ERROR);
  if (fault?.kind === 'reset') return incoming.session?.destroy();
  if (fault?.kind === 'strike' && fault.at === 'arrived') {
    await fault.strike(name);
    return incoming.close(constants.NGHTTP2_INTERNAL_ERROR);
  }
  if (fault?.kind === 'delay') await delay(fault.ms);
  if (incoming.destroyed || upstream.destroyed) return;
  // The caller has not heard yet that this connection takes no more calls: it may make this one elsewhere.
  if (upstream.closed) return incoming.close(constants.NGHTTP2_REFUSED_STREAM);
  forward(call, upstream);
}

function forward({ incoming, headers, name, fault }: Call, upstream: ClientHttp2Session): void {
  const strike = fault?.kind === 'strike' ? fault : undefined;
  const isAnswered = fault?.kind !== 'swallow' && (strike === undefined || strike.at === 'passed');
  const sent = upstream.request(headers);
  sent.on('error', () => incoming.close(constants.NGHTTP2_INTERNAL_ERROR));
  if (strike?.at === 'sent') sent.once('finish', () => void strike.strike(name));
  if (strike?.at === 'answered') sent.once('response', () => void strike.strike(name));
  if (strike?.at === 'passed') incoming.once('close', () => void strike.strike(name));
  if (isAnswered) answer(incoming, sent);
  else sent.resume();
  incoming.once('close', () => isAnswered && sent.close(constants.NGHTTP2_CANCEL));
  incoming.pipe(sent);
}

/** Passes the answer on: headers, messages, and the trailers that hold the status of the call. */
function answer(incoming: ServerHttp2Stream, sent: ClientHttp2Stream): void {
  let trailers: IncomingHttpHeaders = {};
  sent.on('trailers', (received) => {
    trailers = received;
  });
  sent.on('response', (headers, flags) => {
    if (incoming.destroyed) return;
    if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) return incoming.respond(headers, { endStream: true });
    incoming.respond(headers, { waitForTrailers: true });
    incoming.once('wantTrailers', () => incoming.sendTrailers(trailers));
    sent.pipe(incoming);
  });
}
