import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ControlService } from '../../gen/obiente/internal/v1/control_pb.ts';
import { type ControlClient, createControlClient } from './control-client.ts';

const CONTEXT = Buffer.from('what is built');
const contextSha256 = createHash('sha256').update(CONTEXT).digest('hex');

let asked = 0;
const server = createServer(
  connectNodeAdapter({
    routes: (router) =>
      router.service(ControlService, {
        heartbeat: () => ({}),
        async *fetchContext() {
          asked += 1;
          yield { chunk: CONTEXT };
        },
      }),
  }),
);
let client: ControlClient;

beforeAll(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  client = createControlClient({ url, sign: async () => 'a-token' });
});
afterAll(() => {
  client.close();
  server.close();
});

it('asks for a context when it is read, however late that is, and gives all of it', async () => {
  const context = client.fetchContext({ deploymentId: 'a', contextSha256 }, new AbortController().signal);
  // What had been asked before would have come on the same connection before the answer to this.
  await client.heartbeat({ healthy: true, reason: '' });
  expect(asked).toBe(0);
  expect(await buffer(context)).toEqual(CONTEXT);
  expect(asked).toBe(1);
});
