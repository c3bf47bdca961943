import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { runCommand } from './run-command.ts';

const servers: Server[] = [];

/** The address of a server that is anything but a platform. */
async function addressOf(server: Server): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

describe('a command whose address is of something else', () => {
  it('says so when HTTP/1.1 answers there, and does not fall over its error', async () => {
    const url = await addressOf(createServer((_, response) => response.end('hello')));
    const { exitCode, stderr } = await runCommand(['ls'], { url });
    expect(exitCode).toBe(69);
    expect(stderr).toContain(`${url} answers, but not as the API of a platform`);
  });

  it('says so when there is no HTTP at all', async () => {
    const url = await addressOf(
      createTcpServer((socket) =>
        socket
          .on('error', () => undefined)
          .resume()
          .end('SSH-2.0-OpenSSH_9.2\r\n'),
      ),
    );
    const { exitCode, stderr } = await runCommand(['ls'], { url });
    expect(exitCode).toBe(69);
    expect(stderr).toContain(url);
  });
});
