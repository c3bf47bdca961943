import { endJson, type HttpRoute } from './route.ts';

/**
 * `GET /.well-known/oauth-protected-resource`: says where to sign in for this API (RFC 9728), so that `obiente login`
 * needs only the API's address.
 */
export function createProtectedResourceRoute(options: { issuer: string; audience: string }): HttpRoute {
  const document = {
    resource: options.audience,
    authorization_servers: [options.issuer],
    bearer_methods_supported: ['header'],
  };
  return {
    method: 'GET',
    path: '/.well-known/oauth-protected-resource',
    handler: (_request, response) => endJson(response, 200, document),
  };
}
