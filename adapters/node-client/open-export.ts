import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport, Http2SessionManager } from '@connectrpc/connect-node';
import { DomainError } from '../../domain/errors.ts';
import { NodeGatewayService } from '../../gen/obiente/internal/v1/gateways_pb.ts';
import { tolerateLateSessionErrors } from '../http2/late-session-errors.ts';
import { createStallGuard } from '../streams/stall-guard.ts';

/** A node that vanished says nothing by itself: its stream ends at the latest after both of these. */
const PING = { pingIntervalMs: 10_000, pingTimeoutMs: 5_000 };

/** A daemon writes a whole image to its disk before it sends the first byte of it: a minute for 10 GiB, on a slow one. */
const SILENCE_MS = 3 * 60_000;

/** Chunks have 1 MiB at most. */
const LARGEST_MESSAGE_BYTES = 2 * 1024 * 1024;

/** A node looks an image up in milliseconds; its daemon may be slow. */
const ANSWERS_WITHIN_MS = 30_000;

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

/** What of an image is not to be sent. */
export interface ImagePart {
  /** How many of its layers, from the lowest on, are here. */
  readonly skip: number;
  /** How much of this very archive is here. */
  readonly from: { readonly bytes: number; readonly sha256: string };
}

const ALL_OF_IT: ImagePart = { skip: 0, from: { bytes: 0, sha256: '' } };

/**
 * Asks another node what the layers of an image hold, the lowest first (`sha256:…`).
 *
 * @returns `undefined` when that node is older than the question: it sends whole images only
 * @throws as {@link openImage}
 */
export async function describeImage(
  { deploymentId, imageId, ...at }: ImageAtNode,
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  let layers: readonly string[] | undefined;
  const answers = openExport({ ...at, what: 'image' }, signal, async function* (client, options) {
    const answer = client.describeImage({ deploymentId, imageId }, { ...options, timeoutMs: ANSWERS_WITHIN_MS });
    yield await answer.then(({ layers }) => layers, noneIfUnknown);
  });
  for await (const answer of answers) layers = answer;
  return layers;
}

function noneIfUnknown(error: unknown): undefined {
  if (ConnectError.from(error).code !== Code.Unimplemented) throw error;
}

/**
 * Streams an image, or a part of it, from another node, over a connection of its own that ends with the stream.
 *
 * @throws NOT_FOUND when the node does not have it; IMAGE_UNAVAILABLE when what is here is no part of what it sends;
 * NODE_UNAVAILABLE (retryable) for anything else, and when nothing comes for 3 min.
 */
export function openImage(
  { deploymentId, imageId, ...at }: ImageAtNode,
  signal: AbortSignal,
  { skip, from }: ImagePart = ALL_OF_IT,
): AsyncGenerator<Uint8Array> {
  const of = { deploymentId, imageId, skipLayers: skip, fromByte: BigInt(from.bytes), fromSha256: from.sha256 };
  return openExport({ ...at, what: 'image' }, signal, (client, options) => chunksOf(client.exportImage(of, options)));
}

/** Streams what is in a volume from another node, as a tar archive. @throws as {@link openImage} */
export function openVolume({ volumeId, copy, ...at }: VolumeAtNode, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  return openExport({ ...at, what: 'volume' }, signal, (client, options) =>
    chunksOf(client.exportVolume({ volumeId, copy }, options)),
  );
}

type GatewayClient = ReturnType<typeof createClient<typeof NodeGatewayService>>;

interface ExportCall {
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

async function* chunksOf(answers: AsyncIterable<{ readonly chunk: Uint8Array }>): AsyncGenerator<Uint8Array> {
  for await (const { chunk } of answers) yield chunk;
}

async function* openExport<Item>(
  { nodeId, gatewayUrl, token, what }: ExportingNode & { readonly what: string },
  signal: AbortSignal,
  call: (client: GatewayClient, options: ExportCall) => AsyncIterable<Item>,
): AsyncGenerator<Item> {
  tolerateLateSessionErrors();
  const sessionManager = new Http2SessionManager(gatewayUrl, PING);
  const transport = createConnectTransport({
    baseUrl: gatewayUrl,
    httpVersion: '2',
    sessionManager,
    readMaxBytes: LARGEST_MESSAGE_BYTES,
  });
  const guard = createStallGuard(SILENCE_MS, signal);
  try {
    const options = { headers: { authorization: `Bearer ${token}` }, signal: guard.signal };
    for await (const item of call(createClient(NodeGatewayService, transport), options)) {
      guard.seen();
      yield item;
      guard.seen();
    }
  } catch (error) {
    signal.throwIfAborted();
    throw guard.stalled() ? silent({ nodeId, what }) : toDomainError({ nodeId, what }, error);
  } finally {
    guard.stop();
    sessionManager.abort();
  }
}

type Wanted = Pick<ExportingNode, 'nodeId'> & { readonly what: string };

function silent({ nodeId, what }: Wanted): DomainError {
  const message = `the ${what} is not carried on: nothing came from node ${nodeId} for ${SILENCE_MS / 60_000} min`;
  return new DomainError('NODE_UNAVAILABLE', message, { hint: 'Look at the nodes with "obiente nodes".' });
}

function toDomainError({ nodeId, what }: Wanted, cause: unknown): DomainError {
  const { code, rawMessage } = ConnectError.from(cause);
  if (code === Code.NotFound)
    return new DomainError('NOT_FOUND', `node ${nodeId} does not have it any more`, { cause });
  if (what === 'image' && code === Code.FailedPrecondition)
    return new DomainError('IMAGE_UNAVAILABLE', rawMessage, { cause });
  const message = `node ${nodeId} does not send the ${what} (${Code[code]}: ${rawMessage})`;
  return new DomainError('NODE_UNAVAILABLE', message, {
    hint: 'Check that nodes reach the gateways of each other.',
    cause,
  });
}
