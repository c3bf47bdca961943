import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a server that can fall silent: connections are taken and stay open, and nothing comes through any more. */
export interface TcpProxy {
  readonly port: number;
  /** Lets this many bytes of answers through in all from now on, and then nothing. */
  silenceAfter(bytes: number): void;
  /** How many bytes of answers it still lets through. */
  left(): number;
  resume(): void;
  /** How many bytes of answers it has let through in all. */
  passed(): number;
  stop(): Promise<void>;
}

/** Opens a proxy to a port of loopback, by default on a free port of loopback. */
export async function openTcpProxy(
  targetPort: number,
  { host = '127.0.0.1', port = 0 }: { readonly host?: string; readonly port?: number } = {},
): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let left = Number.POSITIVE_INFINITY;
  let sent = 0;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    const target = connect(targetPort, '127.0.0.1');
    for (const socket of [client, target]) keep(socket);
    client.once('close', () => target.destroy());
    target.once('close', () => {
      if (left > 0) client.destroy();
    });
    client.pipe(target);
    target.on('data', (bytes) => {
      const passed = bytes.subarray(0, left);
      left -= passed.length;
      sent += passed.length;
      client.write(passed);
    });
  }).listen(port, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    silenceAfter: (bytes) => {
      left = bytes;
    },
    left: () => left,
    passed: () => sent,
    resume: () => {
      left = Number.POSITIVE_INFINITY;
      for (const socket of sockets) socket.destroy();
    },
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
