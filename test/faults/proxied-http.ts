import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { breakOff } from './break-off.ts';
import type { Served, Serving } from './fault-proxy.ts';
import type { Fault } from './fault-rules.ts';

/** A call under way. */
interface Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly call: string;
  readonly fault: Fault | undefined;
}

/** Serves calls of HTTP/1.1, streams of any length included. */
export function serveHttp({ to, decide }: Serving): Served {
  const agent = new Agent({ keepAlive: true });
  const server = createServer((incoming, outgoing) => {
    const call = `${incoming.method} ${incoming.url}`;
    void handle({ incoming, outgoing, call, fault: decide(call) }, { ...to, agent });
  });
  return {
    server,
    close: () => {
      server.closeAllConnections();
      agent.destroy();
    },
  };
}

async function handle(exchange: Exchange, upstream: object): Promise<void> {
  const { incoming, outgoing, call, fault } = exchange;
  if (fault?.kind === 'half-open') return;
  if (fault?.kind === 'drop') return void incoming.socket.destroy();
  if (fault?.kind === 'reset') return breakOff(incoming.socket);
  if (fault?.kind === 'strike' && fault.at === 'arrived') {
    await fault.strike(call);
    return void incoming.socket.destroy();
  }
  if (fault?.kind === 'delay') await delay(fault.ms);
  if (!outgoing.destroyed) forward(exchange, upstream);
}

function forward({ incoming, outgoing, call, fault }: Exchange, upstream: object): void {
  const { method, url, headers } = incoming;
  const strike = fault?.kind === 'strike' ? fault : undefined;
  const isAnswered = fault?.kind !== 'swallow' && (strike === undefined || strike.at === 'passed');
  const sent = request({ ...upstream, method, path: url, headers }, (answer) => {
    if (strike?.at === 'answered') void strike.strike(call);
    if (!isAnswered) return void answer.resume();
    if (strike) outgoing.once('finish', () => void strike.strike(call));
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    outgoing.flushHeaders();
    answer.on('error', () => outgoing.destroy());
    answer.pipe(outgoing);
  });
  if (strike?.at === 'sent') sent.once('finish', () => void strike.strike(call));
  sent.on('error', () => outgoing.destroy());
  // What was struck is carried out to its end even when the caller has left.
  outgoing.once('close', () => {
    if (isAnswered && !outgoing.writableFinished) sent.destroy();
  });
  incoming.pipe(sent);
}
