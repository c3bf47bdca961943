import { type Timestamp, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type Client, Code, ConnectError, createClient, type Interceptor } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import type { ControlTokenSigner } from '../../adapters/tokens/control-token.ts';
import { DomainError } from '../../domain/errors.ts';
import { NodeGatewayService } from '../../gen/obiente/internal/v1/gateways_pb.ts';
import type { LogSource, SourceLine, SourceRequest } from '../logs/stream-logs.ts';

/** Clients kept, one for each gateway; the one used longest ago makes room. */
const MAX_CLIENTS = 256;

/** A node that vanished says nothing by itself: its streams end at the latest after both of these. */
const PING = { pingIntervalMs: 10_000, pingTimeoutMs: 5_000 };

const NANOS_PER_SECOND = 1_000_000_000n;

/** Opens the logs of containers on whatever node they run. */
export interface NodeLogs {
  /** @throws NODE_UNAVAILABLE when the node does not answer. */
  open(source: LogSource, request: SourceRequest, signal: AbortSignal): AsyncIterable<SourceLine>;
}

/** Creates the client of the nodes' gateways. Every call carries a token for that one node. */
export function createNodeLogs({ signer }: { readonly signer: ControlTokenSigner }): NodeLogs {
  const clients = new Map<string, Client<typeof NodeGatewayService>>();
  const clientOf = ({ nodeId, gatewayUrl }: LogSource) => {
    const key = `${nodeId} ${gatewayUrl}`;
    const client = clients.get(key) ?? connect(gatewayUrl, `node:${nodeId}`, signer);
    clients.delete(key);
    clients.set(key, client);
    const [oldest] = clients.keys();
    if (clients.size > MAX_CLIENTS && oldest !== undefined) clients.delete(oldest);
    return client;
  };
  return {
    open: async function* (source, { tail, follow, afterNanos }, signal) {
      const after = afterNanos === undefined ? {} : { after: toTimestamp(afterNanos) };
      const request = { containerId: source.containerId, tail, follow, ...after };
      try {
        for await (const line of clientOf(source).streamContainerLogs(request, { signal })) {
          yield { atNanos: toNanos(line.at), stream: line.stream, text: line.text };
        }
      } catch (error) {
        throw toDomainError(error, source);
      }
    },
  };
}

function connect(baseUrl: string, audience: string, signer: ControlTokenSigner): Client<typeof NodeGatewayService> {
  const authorize: Interceptor = (next) => async (request) => {
    request.header.set('authorization', `Bearer ${await signer.sign({ audience })}`);
    return await next(request);
  };
  const transport = createConnectTransport({ baseUrl, httpVersion: '2', interceptors: [authorize], ...PING });
  return createClient(NodeGatewayService, transport);
}

/** A container that the node does not have has no lines; everything else is the node's failure. */
function toDomainError(error: unknown, { nodeId, replicaId }: LogSource): unknown {
  if (!(error instanceof ConnectError) || error.code === Code.Canceled) return error;
  if (error.code === Code.NotFound) {
    return new DomainError('NOT_FOUND', `the container of replica ${replicaId} is gone`, { cause: error });
  }
  return new DomainError('NODE_UNAVAILABLE', `cannot read the logs of ${replicaId}: node ${nodeId} does not answer`, {
    hint: 'Try again; "obiente nodes" says which nodes are ready.',
    cause: error,
  });
}

function toTimestamp(nanos: bigint): Timestamp {
  const timestamp = timestampFromMs(0);
  timestamp.seconds = nanos / NANOS_PER_SECOND;
  timestamp.nanos = Number(nanos % NANOS_PER_SECOND);
  return timestamp;
}

function toNanos(at: Timestamp | undefined): bigint {
  return at ? at.seconds * NANOS_PER_SECOND + BigInt(at.nanos) : 0n;
}
