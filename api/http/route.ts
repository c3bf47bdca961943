import type { IncomingMessage, ServerResponse } from 'node:http';

/** Answers one plain HTTP request: by the end of it the response has been ended. What it throws becomes a 500. */
export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/**
 * An endpoint beside the RPCs, by exact path or by what it begins with.
 *
 * It is served over HTTP/1.1 and over cleartext HTTP/2; with the latter, request and response are Node's compatible
 * ones, which lack nothing but the status message.
 */
export interface HttpRoute {
  readonly method: 'GET' | 'POST';
  readonly path: `/${string}`;
  /** Whether all paths that begin with it lead here. */
  readonly isPrefix?: boolean;
  readonly handler: HttpHandler;
}

/** Ends a response with a JSON body. */
export function endJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  });
  response.end(text);
}
