import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { breakOff } from './break-off.ts';
import type { Served, Serving } from './fault-proxy.ts';

/** What a connection is called in rules: its bytes are passed on without being understood. */
const CONNECTION = 'CONNECT';

/** Serves whole connections of any protocol. A `swallow` or `strike` lets everything in and nothing out. */
export function serveBytes({ to, decide }: Serving): Served {
  const server = createServer((client) => {
    client.on('error', () => undefined);
    const fault = decide(CONNECTION);
    if (fault?.kind === 'half-open') return;
    if (fault?.kind === 'drop') return void client.destroy();
    if (fault?.kind === 'reset') return breakOff(client);
    if (fault?.kind === 'strike' && fault.at === 'arrived') {
      void Promise.resolve(fault.strike(CONNECTION)).then(() => client.destroy());
      return;
    }
    void delay(fault?.kind === 'delay' ? fault.ms : 0).then(() => {
      if (client.destroyed) return;
      const server = connect('port' in to ? { port: to.port, host: '127.0.0.1' } : { path: to.socketPath });
      if (fault?.kind === 'strike') server.once('data', () => void fault.strike(CONNECTION));
      join(client, server, fault?.kind !== 'swallow' && fault?.kind !== 'strike');
    });
  });
  return { server, close: () => undefined };
}

function join(client: Socket, server: Socket, isAnswered: boolean): void {
  server.on('error', () => undefined);
  client.once('close', () => server.destroy());
  server.once('close', () => client.destroy());
  client.pipe(server);
  if (isAnswered) server.pipe(client);
  else server.resume();
}
