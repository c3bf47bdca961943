import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DOCKER_SOCKET } from './docker.ts';

/** The real daemon behind a socket that can be taken away. */
export interface InterruptibleDocker {
  readonly socketPath: string;
  /** Breaks all connections and accepts none, as a daemon that has died. */
  interrupt(): Promise<void>;
  resume(): Promise<void>;
  stop(): Promise<void>;
}

/** Opens the socket. */
export async function openInterruptibleDocker(): Promise<InterruptibleDocker> {
  const folder = await mkdtemp(join(tmpdir(), 'obiente-docker-'));
  const socketPath = join(folder, 'docker.sock');
  const sockets = new Set<Socket>();
  let server: Server | undefined;

  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  };
  const resume = async (): Promise<void> => {
    server = createServer((client) => {
      const daemon = connect(DOCKER_SOCKET);
      for (const socket of [client, daemon]) keep(socket);
      client.once('close', () => daemon.destroy());
      daemon.once('close', () => client.destroy());
      client.pipe(daemon).pipe(client);
    }).listen(socketPath);
    await once(server, 'listening');
  };
  const interrupt = async (): Promise<void> => {
    const closed = server && once(server, 'close');
    server?.close();
    for (const socket of sockets) socket.destroy();
    await closed;
    server = undefined;
  };
  await resume();
  return {
    socketPath,
    interrupt,
    resume,
    stop: async () => {
      await interrupt();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
