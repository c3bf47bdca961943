import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { createIngressFeed, type IngressFeedDeps } from './ingress-feed.ts';
import type { HttpRoute } from './route.ts';

/** Longest hold of a request. Traefik gives up after 15 s; reading the database has the rest. */
const HOLD_MS = 10_000;

/** Longest time that a request waits for the database before it gets what is there. */
const READ_WAIT_MS = 3_000;

/** Requests held at a time: each ingress has one, so this is far more than there are. */
const MAX_HELD = 256;

/** What the route needs. */
export interface TraefikConfigDeps extends IngressFeedDeps {
  /** The token that ingresses show. */
  readonly bearer: string;
  /** Longest hold of a request, milliseconds; 10 s unless a test says otherwise. */
  readonly holdMs?: number;
}

/** The route, and how to let go of the requests that it holds. */
export interface TraefikConfigRoute extends HttpRoute {
  /** Answers what is held; later requests are answered at once. Call it when the server begins to stop. */
  close(): Promise<void>;
}

/**
 * `GET /traefik/config`: the source of Traefik's routes, by long poll.
 *
 * A TCP connection that already got the newest answer is held until there is another, or for 10 s; a new connection
 * gets the answer at once, so nothing is lost when Traefik restarts or a response was cut. Answers are 200 with the whole
 * configuration, 401, or 503 while there is none at all; never 200 with an empty body, which Traefik would take for
 * "no routes", and never 304, which it takes for a failure.
 */
export function createTraefikConfigRoute(deps: TraefikConfigDeps): TraefikConfigRoute {
  const feed = createIngressFeed(deps);
  const delivered = new WeakMap<Socket, number>();
  const closing = new AbortController();
  const expected = digest(`Bearer ${deps.bearer}`);
  let held = 0;

  const hold = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const version = delivered.get(request.socket);
    if (version === undefined || held >= MAX_HELD) return;
    const timer = new AbortController();
    const timeout = setTimeout(() => timer.abort(), deps.holdMs ?? HOLD_MS);
    const leave = (): void => timer.abort();
    response.once('close', leave);
    held += 1;
    await feed.untilOther(version, AbortSignal.any([timer.signal, closing.signal]));
    held -= 1;
    response.off('close', leave);
    clearTimeout(timeout);
  };

  return {
    method: 'GET',
    path: '/traefik/config',
    handler: async (request, response) => {
      if (!timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) {
        return end(response, 401, '{"error":"unauthenticated"}');
      }
      await within(feed.refresh(), READ_WAIT_MS);
      await hold(request, response);
      const answer = feed.current();
      if (!answer) return end(response, 503, '{"error":"no snapshot yet"}');
      if (response.destroyed) return;
      delivered.set(request.socket, answer.version);
      end(response, 200, answer.body);
    },
    close: async () => {
      closing.abort();
      await feed.close();
    },
  };
}

/** Digests are of one length, so comparing them takes the same time whatever was sent. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

async function within(work: Promise<void>, waitMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timeout = setTimeout(resolve, waitMs);
  await Promise.race([work, promise]);
  clearTimeout(timeout);
}

function end(response: ServerResponse, status: number, body: Buffer | string): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...(status === 503 ? { 'retry-after': '1' } : {}),
  });
  response.end(body);
}
