import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DOCKER_SOCKET } from './docker.ts';

/** A daemon that carries out what it is asked, and now and then never says so. */
export interface DockerProxy {
  readonly socketPath: string;
  /** Swallows the answers of the next `times` calls that match; "POST /containers/create" is such a call. */
  swallow(call: RegExp, times: number): void;
  /** Calls whose answers were swallowed. */
  readonly swallowed: readonly string[];
  stop(): Promise<void>;
}

/** Starts a proxy in front of the real daemon. */
export async function startDockerProxy(): Promise<DockerProxy> {
  const dir = await mkdtemp(join(tmpdir(), 'obiente-proxy-'));
  const socketPath = join(dir, 'docker.sock');
  const faults: { call: RegExp; times: number }[] = [];
  const swallowed: string[] = [];
  const server = createServer((incoming, outgoing) => {
    const { method = '', url = '', headers } = incoming;
    const call = `${method} ${url}`;
    const fault = faults.find((one) => one.times > 0 && one.call.test(call));
    if (fault) fault.times -= 1;
    const upstream = request({ socketPath: DOCKER_SOCKET, method, path: url, headers }, (answer) => {
      if (fault) {
        swallowed.push(call);
        answer.resume();
        return;
      }
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      outgoing.flushHeaders();
      answer.pipe(outgoing);
    });
    upstream.on('error', () => outgoing.destroy());
    // What was swallowed is carried out to its end even when the caller has left.
    outgoing.once('close', () => {
      if (!fault && !outgoing.writableFinished) upstream.destroy();
    });
    incoming.pipe(upstream);
  });
  server.listen(socketPath);
  await once(server, 'listening');
  return {
    socketPath,
    swallowed,
    swallow: (call, times) => {
      faults.push({ call, times });
    },
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
