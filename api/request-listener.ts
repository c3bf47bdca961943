import type { IncomingMessage, ServerResponse } from 'node:http';
import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import type { Log } from '../adapters/logging/log.ts';
import { createCors } from './cors.ts';
import { endJson, type HttpRoute } from './http/route.ts';
import { withCutOff } from './metrics/readers.ts';

/** Largest message of an RPC: a spec is at most some 300 KiB, a part of an upload 1 MiB. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** What answers requests. */
export interface ListenerDeps {
  readonly routes: (router: ConnectRouter) => void;
  readonly httpRoutes: readonly HttpRoute[];
  readonly corsOrigins: readonly string[];
  readonly log: Log;
}

/** Answers a request of HTTP/1.1, or of HTTP/2 by Node's compatible classes. */
export type RequestListener = (request: IncomingMessage, response: ServerResponse) => void;

/** Streams that must end because this process does: clients resume them on another one by their cursor. */
const DRAINING = 'this server is stopping';

/** Creates what answers every request: RPCs in all three protocols, plain endpoints, preflights, and 404. */
export function createRequestListener(deps: ListenerDeps): { listener: RequestListener; endStreams: () => void } {
  const ending = new AbortController();
  const plain = new Map(deps.httpRoutes.map((route) => [route.path as string, route]));
  const prefixes = deps.httpRoutes.filter(({ isPrefix }) => isPrefix);
  const cors = createCors(deps.corsOrigins);
  const rpc = connectNodeAdapter({
    routes: deps.routes,
    readMaxBytes: MAX_MESSAGE_BYTES,
    // A misspelt field would be taken for one that is not set. Binary messages may have fields that are newer than we.
    jsonOptions: { ignoreUnknownFields: false },
    shutdownSignal: ending.signal,
    contextValues: withCutOff,
    fallback: (_request, response) =>
      endJson(response as ServerResponse, 404, { code: 'not_found', message: 'no such endpoint' }),
  });

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (cors(request, response)) return;
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const route = plain.get(path) ?? prefixes.find((one) => path.startsWith(one.path));
    if (!route) return rpc(request, response);
    const isAllowed = request.method === route.method || (route.method === 'GET' && request.method === 'HEAD');
    if (!isAllowed) return endJson(response, 405, { code: 'unimplemented', message: `allowed is ${route.method}` });
    await route.handler(request, response);
  };

  const listener: RequestListener = (request, response) => {
    // A broken connection tells itself by `close`; without a listener its error would end the process.
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    answer(request, response).catch((error: unknown) => {
      deps.log.warn({ err: error, method: request.method }, 'request failed');
      if (response.headersSent) response.destroy();
      else endJson(response, isMalformed(error) ? 400 : 500, { code: 'internal', message: 'internal error' });
    });
  };
  return { listener, endStreams: () => ending.abort(new ConnectError(DRAINING, Code.Unavailable)) };
}

/** A request whose host or path is no URL fails before it reaches a handler. */
function isMalformed(error: unknown): boolean {
  return error instanceof TypeError || error instanceof ConnectError;
}
