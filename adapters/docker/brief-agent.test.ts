import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { BriefAgent } from './connection.ts';

it('an agent with calls under way is printed by its name, as the client prints it with each request', async () => {
  const server = createServer((_, response) => response.end()).listen(0);
  const agent = new BriefAgent({ keepAlive: true });
  const { port } = server.address() as AddressInfo;
  const call = () => new Promise<void>((done) => get({ port, agent }, (response) => response.resume().on('end', done)));
  const calls = Array.from({ length: 8 }, call);
  expect(inspect({ agent }, { showHidden: true, depth: null })).toBe('{ agent: Agent }');
  await Promise.all(calls);
  agent.destroy();
  server.close();
});
