import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDockerConnection, type DockerConnection, statusOf } from './connection.ts';

const NEVER = new AbortController().signal;

let folder: string;
let server: Server;
let answer: RequestListener;
let connections: number;
let docker: DockerConnection;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'obiente-get-json-'));
  const socketPath = join(folder, 'docker.sock');
  connections = 0;
  server = createServer((request, response) => answer(request, response));
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  docker = createDockerConnection({ socketPath, requestTimeoutMs: 200 });
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true });
});

const ask = (signal = NEVER) => docker.getJson('read the stats of x', '/containers/x/stats', signal);

describe('what is asked of a daemon often', () => {
  it('is its JSON, one after the other by one connection', async () => {
    answer = ({ url }, response) => response.end(JSON.stringify({ url }));
    expect([await ask(), await ask()]).toEqual([{ url: '/containers/x/stats' }, { url: '/containers/x/stats' }]);
    expect(connections).toBe(1);
  });

  it('is refused in the words of the daemon', async () => {
    answer = (_, response) => response.writeHead(404).end(JSON.stringify({ message: 'No such container: x' }));
    const error = await ask().catch((failure: unknown) => failure);
    expect(error).toMatchObject({
      code: 'NOT_FOUND',
      message: 'cannot read the stats of x: docker answered "No such container: x"',
    });
    expect(statusOf(error)).toBe(404);
  });

  it.each<[string, RequestListener, string]>([
    ['never answers', () => undefined, 'gave no answer within 200 ms'],
    ['stops in the middle', (_, response) => response.write('{"a":'), 'gave no answer within 200 ms'],
    ['answers with what is no JSON', (_, response) => response.end('OK'), 'docker answered "what is no JSON"'],
    ['answers without end', (_, response) => response.end(Buffer.alloc(5 * 1024 ** 2, '1')), 'cannot be reached'],
    [
      'goes away in the middle',
      (_, response) => response.write('{"a":', () => response.destroy()),
      'docker cannot be reached',
    ],
  ])('fails, and may be tried again, when the daemon %s', async (_, listener, words) => {
    answer = listener;
    await expect(ask()).rejects.toMatchObject({
      code: 'DOCKER_UNAVAILABLE',
      message: expect.stringContaining(words),
    });
  });

  it('ends with the reason of who asked', async () => {
    answer = () => undefined;
    const asked = new AbortController();
    const asking = ask(asked.signal);
    asked.abort(new Error('the round is over'));
    await expect(asking).rejects.toThrow('the round is over');
  });
});
