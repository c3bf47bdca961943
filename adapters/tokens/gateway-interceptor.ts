import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import { isDomainError } from '../../domain/errors.ts';
import { readBearerToken } from './bearer.ts';
import type { ControlTokenVerifier } from './control-token.ts';

/**
 * Creates the interceptor of a gateway (node, streamer): no call without a token of the control plane for this gateway.
 *
 * It speaks Connect's own errors, since gateways have no other caller than the API.
 */
export function createGatewayInterceptor(verifier: ControlTokenVerifier): Interceptor {
  return (next) => async (request) => {
    try {
      await verifier.verify(readBearerToken(request.header));
    } catch (error) {
      if (!isDomainError(error)) throw error;
      throw new ConnectError(error.message, Code.Unauthenticated);
    }
    return await next(request);
  };
}
