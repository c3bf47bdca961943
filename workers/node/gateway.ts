import { once } from 'node:events';
import { createServer, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { ConnectRouter, HandlerContext, Interceptor } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import type { Docker } from '../../adapters/docker/docker.ts';
import type { Log } from '../../adapters/logging/log.ts';
import { readBearerToken } from '../../adapters/tokens/bearer.ts';
import type { ImageClaim } from '../../adapters/tokens/image-token.ts';
import type { SwarmClaim } from '../../adapters/tokens/swarm-token.ts';
import type { VolumeClaim } from '../../adapters/tokens/volume-token.ts';
import { createErrorInterceptor } from '../../api/interceptors/errors.ts';
import { DomainError, notFound } from '../../domain/errors.ts';
import { LABEL } from '../../domain/naming.ts';
import { NodeGatewayService, type StreamContainerLogsRequest } from '../../gen/obiente/internal/v1/gateways_pb.ts';
import { SwarmGatewayService } from '../../gen/obiente/internal/v1/swarm_pb.ts';
import { createImageExport, imageClaimKey } from './image-export.ts';
import { createSwarmGateway, type SwarmGatewayPorts, swarmClaimKey } from './swarm-gateway.ts';
import { createVolumeExport, volumeClaimKey } from './volume-export.ts';

/** Logs that are streamed at a time; a node has few containers, and a person reads few logs. */
const MOST_STREAMS = 200;

/** No request of this service is longer. */
const LARGEST_REQUEST_BYTES = 16 * 1024;

/** A service has all variables of a replica in it, encrypted; Swarm itself takes no larger ones. */
const LARGEST_SERVICE_BYTES = 6 * 1024 * 1024;

/** What other nodes get from the daemon of this one. */
type SentToNodes = 'describeLayers' | 'exportImage' | 'readVolume' | 'requireUnwritten';

/** What the gateway needs. */
export interface GatewayOptions {
  readonly bindAddress: string;
  readonly port: number;
  readonly instance: string;
  readonly docker: Pick<Docker, 'findContainer' | 'streamLogs' | SentToNodes>;
  /** Verifies the control plane's token. @throws UNAUTHENTICATED */
  verifyToken(token: string): Promise<void>;
  /** Verifies the token with which another node fetches an image. @throws UNAUTHENTICATED */
  verifyImageToken(token: string): Promise<ImageClaim>;
  /** Verifies the token with which another node fetches what is in a volume. @throws UNAUTHENTICATED */
  verifyVolumeToken(token: string): Promise<VolumeClaim>;
  /** What this node does for workers of its Docker Swarm; absent where it is in none. */
  readonly swarm?: SwarmGatewayPorts & {
    /** Verifies the token with which a node on a worker asks. @throws UNAUTHENTICATED */
    verifyToken(token: string): Promise<SwarmClaim>;
  };
  readonly log: Log;
}

/** The gateway while it listens. */
export interface RunningGateway {
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * Starts the gateway through which the control plane reaches this node, and other nodes its built images and volumes: ConnectRPC over
 * cleartext HTTP/2, every call with a token.
 *
 * @throws CONFIGURATION when the port is taken.
 */
export async function startNodeGateway(options: GatewayOptions): Promise<RunningGateway> {
  const stopping = new AbortController();
  const handler = connectNodeAdapter({
    routes: (router) => addRoutes(router, options),
    interceptors: [createErrorInterceptor(options.log), requireToken(options)],
    readMaxBytes: LARGEST_REQUEST_BYTES,
    shutdownSignal: stopping.signal,
  });
  const server = createServer({ settings: { maxConcurrentStreams: MOST_STREAMS } }, handler);
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  server.listen(options.port, options.bindAddress);
  await once(server, 'listening').catch((cause: unknown) => {
    const { port, bindAddress } = options;
    throw new DomainError('CONFIGURATION', `NODE_GATEWAY_PORT: cannot listen on ${bindAddress}:${port}`, { cause });
  });
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      stopping.abort();
      const closed = new Promise((resolve) => server.close(resolve));
      for (const session of sessions) session.close();
      setTimeout(() => {
        for (const session of sessions) session.destroy();
      }, 2_000).unref();
      await closed;
    },
  };
}

/** What the control plane does and what nodes do takes tokens of different kinds: neither is good for the other. */
function requireToken({ verifyToken, verifyImageToken, verifyVolumeToken, swarm }: GatewayOptions): Interceptor {
  return (next) => async (request) => {
    const token = readBearerToken(request.header);
    if (request.method.parent.typeName === SwarmGatewayService.typeName) {
      request.contextValues.set(swarmClaimKey, await swarm?.verifyToken(token));
      return await next(request);
    }
    const { describeImage, exportImage } = NodeGatewayService.method;
    if ([describeImage.name, exportImage.name].includes(request.method.name)) {
      request.contextValues.set(imageClaimKey, await verifyImageToken(token));
    } else if (request.method.name === NodeGatewayService.method.exportVolume.name) {
      request.contextValues.set(volumeClaimKey, await verifyVolumeToken(token));
    } else await verifyToken(token);
    return await next(request);
  };
}

function addRoutes(router: ConnectRouter, options: GatewayOptions): void {
  let open = 0;
  const images = createImageExport(options.docker);
  router.service(NodeGatewayService, {
    streamContainerLogs: async function* (request, context) {
      if (open >= MOST_STREAMS) {
        throw new DomainError('NODE_UNAVAILABLE', `this node streams ${MOST_STREAMS} logs already, which is the most`);
      }
      open += 1;
      try {
        yield* streamLines(request, context, options);
      } finally {
        open -= 1;
      }
    },
    describeImage: images.describe,
    exportImage: images.stream,
    exportVolume: createVolumeExport(options.instance, options.docker).stream,
    listSwarmNodes: async () => {
      if (!options.swarm) throw new DomainError('NOT_FOUND', 'this node is on no host of a swarm');
      return { nodes: [...(await options.swarm.own.listHosts())] };
    },
  });
  if (options.swarm) {
    router.service(SwarmGatewayService, createSwarmGateway(options.swarm), { readMaxBytes: LARGEST_SERVICE_BYTES });
  }
}

/** A container of somebody else is not found, exactly like one that does not exist. */
async function* streamLines(
  request: StreamContainerLogsRequest,
  { signal }: HandlerContext,
  { docker, instance }: GatewayOptions,
) {
  const container = await docker.findContainer(containerIdOf(request));
  if (container?.labels[LABEL.instance] !== instance || !container.labels[LABEL.replica]) throw notFound('container');
  const { tail, follow } = request;
  const lines = docker.streamLogs({ containerId: container.id, tail, follow, after: afterOf(request) }, signal);
  for await (const { at, stream, text } of lines) yield { at: toTimestamp(at), stream, text };
}

/** Names are refused: an id says exactly one container, whatever comes to be called what. */
function containerIdOf({ containerId }: StreamContainerLogsRequest): string {
  if (/^([0-9a-f]{12,64}|[0-9a-z]{25})$/.test(containerId)) return containerId;
  throw notFound('container');
}

function afterOf({ after }: StreamContainerLogsRequest): string | null {
  if (!after) return null;
  const seconds = timestampDate({ ...after, nanos: 0 })
    .toISOString()
    .slice(0, 19);
  return `${seconds}.${String(after.nanos).padStart(9, '0')}Z`;
}

function toTimestamp(at: string): { seconds: bigint; nanos: number } {
  const nanos = Number((/\.(\d{1,9})/.exec(at)?.[1] ?? '').padEnd(9, '0'));
  return { seconds: BigInt(Math.floor(Date.parse(at) / 1000)), nanos };
}
