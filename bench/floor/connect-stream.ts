import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { StreamerGatewayService, StreamSamplesResponseSchema } from '../../gen/obiente/internal/v1/gateways_pb.ts';

/**
 * The least that a stream of Connect can be: whoever is connected is sent the next message, and there is nothing else. No
 * queue, no filter, no token, no cache; a reader that is slow holds back only itself, and misses what came meanwhile. One that
 * has left is noticed with the next message.
 */
export async function openBareStream() {
  let next = Promise.withResolvers<MessageInitShape<typeof StreamSamplesResponseSchema>>();
  let active = 0;
  const handler = connectNodeAdapter({
    routes: (router) =>
      router.service(StreamerGatewayService, {
        streamSamples: async function* (_request, { signal }) {
          active += 1;
          try {
            while (!signal.aborted) yield await next.promise;
          } finally {
            active -= 1;
          }
        },
      }),
  });
  const server = createServer({ settings: { maxConcurrentStreams: 10_000 } }, handler);
  server.on('session', (session) => session.on('error', () => session.destroy()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    active: () => active,
    publish: (message: MessageInitShape<typeof StreamSamplesResponseSchema>): void => {
      const { resolve } = next;
      next = Promise.withResolvers();
      resolve(create(StreamSamplesResponseSchema, message));
    },
    close: () => void server.close(),
  };
}
