import type { DescService } from '@bufbuild/protobuf';
import { type Client, createClient, type Interceptor } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { tolerateLateSessionErrors } from '../../adapters/http2/late-session-errors.ts';
import type { ControlTokenSigner } from '../../adapters/tokens/control-token.ts';

/** Clients kept, one for each gateway; the one used longest ago makes room. */
const MAX_CLIENTS = 1_000;

/** A node that vanished says nothing by itself: its streams end at the latest after both of these. */
const PING = { pingIntervalMs: 10_000, pingTimeoutMs: 5_000 };

/** A gateway of one node, and for whom tokens that it accepts are meant. */
export interface Gateway {
  readonly url: string;
  /** `node:<node id>` or `streamer:<node id>`. */
  readonly audience: string;
}

/** Keeps a client for each gateway of a kind. Every call carries a token for that one gateway. */
export function createGatewayClients<Service extends DescService>(
  service: Service,
  signer: ControlTokenSigner,
): (gateway: Gateway) => Client<Service> {
  const clients = new Map<string, Client<Service>>();
  return ({ url, audience }) => {
    const key = `${audience} ${url}`;
    const client = clients.get(key) ?? createClient(service, transportTo(url, audience, signer));
    clients.delete(key);
    clients.set(key, client);
    const [oldest] = clients.keys();
    if (clients.size > MAX_CLIENTS && oldest !== undefined) clients.delete(oldest);
    return client;
  };
}

function transportTo(baseUrl: string, audience: string, signer: ControlTokenSigner) {
  const authorize: Interceptor = (next) => async (request) => {
    request.header.set('authorization', `Bearer ${await signer.sign({ audience })}`);
    return await next(request);
  };
  tolerateLateSessionErrors();
  return createConnectTransport({ baseUrl, httpVersion: '2', interceptors: [authorize], ...PING });
}
