import type { IncomingMessage, ServerResponse } from 'node:http';
import { cors } from '@connectrpc/connect';

/** How long a browser may remember a preflight answer: two hours, the most that Chromium takes. */
const MAX_AGE_S = 7200;

/**
 * Creates what lets pages of the given origins, and of no others, call the API.
 *
 * Tokens travel in a header, never in a cookie, so credentials are not allowed. Returns whether the request was a
 * preflight and has been answered.
 */
export function createCors(
  origins: readonly string[],
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const allowed = new Set(origins);
  return (request, response) => {
    const origin = request.headers.origin;
    if (origin === undefined) return false;
    response.setHeader('vary', 'Origin');
    const isPreflight = request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined;
    if (allowed.has(origin)) {
      response.setHeader('access-control-allow-origin', origin);
      response.setHeader('access-control-expose-headers', cors.exposedHeaders.join(', '));
    }
    if (!isPreflight) return false;
    if (allowed.has(origin)) {
      response.setHeader('access-control-allow-methods', cors.allowedMethods.join(', '));
      response.setHeader('access-control-allow-headers', [...cors.allowedHeaders, 'authorization'].join(', '));
      response.setHeader('access-control-max-age', String(MAX_AGE_S));
    }
    response.writeHead(204);
    response.end();
    return true;
  };
}
