import { createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Code, ConnectError } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createControlTokenSigner, createControlTokenVerifier } from '../../adapters/tokens/control-token.ts';
import { createGatewayInterceptor } from '../../adapters/tokens/gateway-interceptor.ts';
import { generateControlKey } from '../../adapters/tokens/keys.ts';
import { NodeGatewayService, type StreamContainerLogsRequest } from '../../gen/obiente/internal/v1/gateways_pb.ts';
import type { SourceLine } from '../logs/stream-logs.ts';
import { createNodeLogs } from './node-logs.ts';

const signer = createControlTokenSigner(generateControlKey().privateJwk);
const asked: StreamContainerLogsRequest[] = [];

let server: Http2Server;
let gatewayUrl: string;

beforeAll(async () => {
  const verifier = createControlTokenVerifier({ getJwks: () => signer.publicJwks, audience: 'node:node-a' });
  const interceptors = [createGatewayInterceptor(verifier)];
  const handler = connectNodeAdapter({
    routes: (router) =>
      router.service(
        NodeGatewayService,
        {
          async *streamContainerLogs(request) {
            asked.push(request);
            if (request.containerId === 'gone') throw new ConnectError('no such container', Code.NotFound);
            yield { at: { seconds: 1_700_000_000n, nanos: 123_456_789 }, stream: 'stderr', text: 'hello' };
          },
        },
        { interceptors },
      ),
  });
  server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  gatewayUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

async function read(changes: { nodeId?: string; containerId?: string; url?: string; afterNanos?: bigint } = {}) {
  const { nodeId = 'node-a', containerId = 'c1', url = gatewayUrl, afterNanos } = changes;
  const request = { tail: 5, follow: false, afterNanos };
  const lines: SourceLine[] = [];
  const source = { nodeId, containerId, gatewayUrl: url, replicaId: 'r1-0' };
  for await (const line of createNodeLogs({ signer }).open(source, request, new AbortController().signal))
    lines.push(line);
  return lines;
}

describe('the logs of a node', () => {
  it('come to the nanosecond, and go on after a nanosecond', async () => {
    const atNanos = 1_700_000_000_123_456_789n;
    expect(await read({ afterNanos: atNanos })).toEqual([{ atNanos, stream: 'stderr', text: 'hello' }]);
    expect(asked.at(-1)).toMatchObject({
      containerId: 'c1',
      tail: 5,
      after: { seconds: 1_700_000_000n, nanos: 123_456_789 },
    });
  });

  it('are asked for with a token for that one node', async () => {
    await expect(read({ nodeId: 'node-b' })).rejects.toMatchObject({ code: 'NODE_UNAVAILABLE' });
  });

  it('tell a container that is gone from a node that is away', async () => {
    await expect(read({ containerId: 'gone' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(read({ url: 'http://127.0.0.1:1' })).rejects.toMatchObject({ code: 'NODE_UNAVAILABLE' });
  });
});
