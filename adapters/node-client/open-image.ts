import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { DomainError } from '../../domain/errors.ts';
import { NodeGatewayService } from '../../gen/obiente/internal/v1/gateways_pb.ts';
import { tolerateLateSessionErrors } from '../http2/late-session-errors.ts';

/** A node that vanished says nothing by itself: its stream ends at the latest after both of these. */
const PING = { pingIntervalMs: 10_000, pingTimeoutMs: 5_000 };

/** Chunks have 1 MiB at most. */
const LARGEST_MESSAGE_BYTES = 2 * 1024 * 1024;

/** Which image of which node. */
export interface ImageAtNode {
  readonly nodeId: string;
  readonly gatewayUrl: string;
  /** Signed by the control plane for this image at this node. */
  readonly token: string;
  readonly deploymentId: string;
  readonly imageId: string;
}

/**
 * Streams an image from another node, over a connection of its own that ends with the stream.
 *
 * @throws NOT_FOUND when the node does not have it; NODE_UNAVAILABLE (retryable) for anything else.
 */
export async function* openImage(
  { nodeId, gatewayUrl, token, deploymentId, imageId }: ImageAtNode,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  tolerateLateSessionErrors();
  const sessionManager = new Http2SessionManager(gatewayUrl, PING);
  const transport = createConnectTransport({
    baseUrl: gatewayUrl,
    httpVersion: '2',
    sessionManager,
    readMaxBytes: LARGEST_MESSAGE_BYTES,
  });
  const headers = { authorization: `Bearer ${token}` };
  try {
    const messages = createClient(NodeGatewayService, transport).exportImage(
      { deploymentId, imageId },
      { headers, signal },
    );
    for await (const { chunk } of messages) yield chunk;
  } catch (error) {
    signal.throwIfAborted();
    throw toDomainError(nodeId, error);
  } finally {
    sessionManager.abort();
  }
}

function toDomainError(nodeId: string, cause: unknown): DomainError {
  const { code, rawMessage } = ConnectError.from(cause);
  if (code === Code.NotFound)
    return new DomainError('NOT_FOUND', `node ${nodeId} does not have it any more`, { cause });
  const message = `node ${nodeId} does not send the image (${Code[code]}: ${rawMessage})`;
  return new DomainError('NODE_UNAVAILABLE', message, {
    hint: 'Check that nodes reach the gateways of each other.',
    cause,
  });
}
