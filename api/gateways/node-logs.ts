import { type Timestamp, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import type { ControlTokenSigner } from '../../adapters/tokens/control-token.ts';
import { DomainError } from '../../domain/errors.ts';
import { NodeGatewayService } from '../../gen/obiente/internal/v1/gateways_pb.ts';
import type { LogSource, SourceLine, SourceRequest } from '../logs/stream-logs.ts';
import { createGatewayClients } from './gateway-clients.ts';

const NANOS_PER_SECOND = 1_000_000_000n;

/** Opens the logs of containers on whatever node they run. */
export interface NodeLogs {
  /** @throws NODE_UNAVAILABLE when the node does not answer. */
  open(source: LogSource, request: SourceRequest, signal: AbortSignal): AsyncIterable<SourceLine>;
}

/** Creates the client of the nodes' gateways. Every call carries a token for that one node. */
export function createNodeLogs({ signer }: { readonly signer: ControlTokenSigner }): NodeLogs {
  const clientOf = createGatewayClients(NodeGatewayService, signer);
  return {
    open: async function* (source, { tail, follow, afterNanos }, signal) {
      const after = afterNanos === undefined ? {} : { after: toTimestamp(afterNanos) };
      const request = { containerId: source.containerId, tail, follow, ...after };
      try {
        for await (const line of clientOf({
          url: source.gatewayUrl,
          audience: `node:${source.nodeId}`,
        }).streamContainerLogs(request, { signal })) {
          yield { atNanos: toNanos(line.at), stream: line.stream, text: line.text };
        }
      } catch (error) {
        throw toDomainError(error, source);
      }
    },
  };
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
