import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { DomainError } from '../../domain/errors.ts';
import { NodeGatewayService } from '../../gen/obiente/internal/v1/gateways_pb.ts';
import { tolerateLateSessionErrors } from '../http2/late-session-errors.ts';

/** A node that vanished says nothing by itself: its stream ends at the latest after both of these. */
const PING = { pingIntervalMs: 10_000, pingTimeoutMs: 5_000 };

/** Chunks have 1 MiB at most. */
const LARGEST_MESSAGE_BYTES = 2 * 1024 * 1024;

/** A node that has something which another one is to get. */
export interface ExportingNode {
  readonly nodeId: string;
  readonly gatewayUrl: string;
  /** Signed by the control plane for this one thing at this node. */
  readonly token: string;
}

/** Which image of which node. */
export interface ImageAtNode extends ExportingNode {
  readonly deploymentId: string;
  readonly imageId: string;
}

/** Which copy of which volume of which node. */
export interface VolumeAtNode extends ExportingNode {
  readonly volumeId: string;
  readonly copy: number;
}

/**
 * Streams an image from another node, over a connection of its own that ends with the stream.
 *
 * @throws NOT_FOUND when the node does not have it; NODE_UNAVAILABLE (retryable) for anything else.
 */
export function openImage(
  { deploymentId, imageId, ...at }: ImageAtNode,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  return openExport({ ...at, what: 'image' }, signal, (client, options) =>
    client.exportImage({ deploymentId, imageId }, options),
  );
}

/** Streams what is in a volume from another node, as a tar archive. @throws as {@link openImage} */
export function openVolume({ volumeId, copy, ...at }: VolumeAtNode, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  return openExport({ ...at, what: 'volume' }, signal, (client, options) =>
    client.exportVolume({ volumeId, copy }, options),
  );
}

type GatewayClient = ReturnType<typeof createClient<typeof NodeGatewayService>>;

interface ExportCall {
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

async function* openExport(
  { nodeId, gatewayUrl, token, what }: ExportingNode & { readonly what: string },
  signal: AbortSignal,
  call: (client: GatewayClient, options: ExportCall) => AsyncIterable<{ readonly chunk: Uint8Array }>,
): AsyncGenerator<Uint8Array> {
  tolerateLateSessionErrors();
  const sessionManager = new Http2SessionManager(gatewayUrl, PING);
  const transport = createConnectTransport({
    baseUrl: gatewayUrl,
    httpVersion: '2',
    sessionManager,
    readMaxBytes: LARGEST_MESSAGE_BYTES,
  });
  try {
    const options = { headers: { authorization: `Bearer ${token}` }, signal };
    for await (const { chunk } of call(createClient(NodeGatewayService, transport), options)) yield chunk;
  } catch (error) {
    signal.throwIfAborted();
    throw toDomainError({ nodeId, what }, error);
  } finally {
    sessionManager.abort();
  }
}

function toDomainError({ nodeId, what }: { readonly nodeId: string; readonly what: string }, cause: unknown): Error {
  const { code, rawMessage } = ConnectError.from(cause);
  if (code === Code.NotFound)
    return new DomainError('NOT_FOUND', `node ${nodeId} does not have it any more`, { cause });
  const message = `node ${nodeId} does not send the ${what} (${Code[code]}: ${rawMessage})`;
  return new DomainError('NODE_UNAVAILABLE', message, {
    hint: 'Check that nodes reach the gateways of each other.',
    cause,
  });
}
