import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFaultRules, type FaultRules } from './fault-rules.ts';
import { serveBytes } from './proxied-bytes.ts';
import { serveGrpc } from './proxied-grpc.ts';
import { serveHttp } from './proxied-http.ts';

/** Where somebody listens. */
export type Endpoint =
  | { readonly socketPath: string }
  /** On the loopback address. */
  | { readonly port: number };

/** How a proxy is made. */
export interface FaultProxyOptions {
  readonly to: Endpoint;
  /** What a fault meets: a call of HTTP/1.1 (Docker), one of gRPC over HTTP/2 (Temporal), or a whole connection. */
  readonly unit: 'http' | 'grpc' | 'connection';
  /** Numbers from 0 up to 1 that decide where a rule has a probability; seeded, so that a run can be replayed. */
  readonly random?: () => number;
}

/** A proxy in front of a real server that does to its calls what the rules say. Without rules everything passes. */
export interface FaultProxy extends FaultRules {
  /** Where it listens: of the same kind as what it stands for. */
  readonly endpoint: Endpoint;
  /** Breaks all connections and accepts none, as a server that has died. */
  interrupt(): Promise<void>;
  /** Listens again at the same place. */
  resume(): Promise<void>;
  stop(): Promise<void>;
}

/** What a kind of proxy is told, to serve its connections. */
export interface Serving {
  readonly to: Endpoint;
  readonly decide: FaultRules['decide'];
}

/** A server for one kind of unit, and how to let go of what it holds towards the real one. */
export interface Served {
  readonly server: Server;
  close(): void;
}

const SERVE: Readonly<Record<FaultProxyOptions['unit'], (serving: Serving) => Served>> = {
  http: serveHttp,
  grpc: serveGrpc,
  connection: serveBytes,
};

/** Starts a proxy. The real server needs to be there with the first call only. */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const { to, unit, random = Math.random } = options;
  const folder = await mkdtemp(join(tmpdir(), 'obiente-proxy-'));
  const rules = createFaultRules(random);
  const sockets = new Set<Socket>();
  let endpoint: Endpoint = 'port' in to ? { port: 0 } : { socketPath: join(folder, 'proxy.sock') };
  let running: Served | undefined;

  const resume = async (): Promise<void> => {
    if (running) return;
    running = SERVE[unit]({ to, decide: rules.decide });
    running.server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => sockets.delete(socket));
    });
    running.server.listen(
      'port' in endpoint ? { port: endpoint.port, host: '127.0.0.1' } : { path: endpoint.socketPath },
    );
    await once(running.server, 'listening');
    if ('port' in endpoint) endpoint = { port: (running.server.address() as AddressInfo).port };
  };

  const interrupt = async (): Promise<void> => {
    const { server, close } = running ?? {};
    running = undefined;
    const closed = server && once(server, 'close');
    server?.close();
    for (const socket of sockets) socket.destroy();
    close?.();
    await closed;
  };

  await resume();
  return {
    ...rules,
    endpoint,
    interrupt,
    resume,
    stop: async () => {
      await interrupt();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The path of a proxy that listens on a Unix socket. */
export function socketPathOf({ endpoint }: Pick<FaultProxy, 'endpoint'>): string {
  if ('socketPath' in endpoint) return endpoint.socketPath;
  throw new Error('this proxy listens on a port');
}

/** The port of a proxy that listens on one. */
export function portOf({ endpoint }: Pick<FaultProxy, 'endpoint'>): number {
  if ('port' in endpoint) return endpoint.port;
  throw new Error('this proxy listens on a Unix socket');
}
