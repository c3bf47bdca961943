import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One message that was taken: its signature is right. */
export interface ToldMessage {
  /** The same in each attempt. */
  readonly id: string;
  readonly event: string;
  /** Empty for a test. */
  readonly rule: string;
  /** Name of the deployment. */
  readonly deployment: string | null;
  readonly deploymentId: string | null;
  readonly nodeId: string | null;
  /** When it came, milliseconds since 1970. */
  readonly atMs: number;
}

/** A receiver of alerts on this machine. */
export interface WebhookReceiver {
  readonly url: string;
  /** What it was told, oldest first; repetitions too. */
  readonly told: readonly ToldMessage[];
  /** Messages that it refused for their signature. */
  refused(): number;
  /** Resolves as soon as what it was told is enough. @throws when the patience has run out */
  until(isEnough: () => boolean, patienceMs: number): Promise<void>;
  close(): void;
}

/** Opens a receiver that believes only what is signed with the secret. */
export async function openWebhookReceiver(secret: string): Promise<WebhookReceiver> {
  const told: ToldMessage[] = [];
  const waiting = new Set<() => void>();
  let refused = 0;
  const take = async (request: IncomingMessage): Promise<boolean> => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts).toString();
    const [, t, v1] = /^t=(\d+),v1=([0-9a-f]+)$/.exec(`${request.headers['obiente-signature']}`) ?? [];
    if (createHmac('sha256', secret).update(`${t}.${body}`).digest('hex') !== v1) {
      refused += 1;
      return false;
    }
    const { id, event, alert } = JSON.parse(body);
    told.push({
      ...{ id, event, rule: alert?.rule ?? '', deployment: alert?.deployment ?? null, atMs: Date.now() },
      ...{ deploymentId: alert?.deployment_id ?? null, nodeId: alert?.node_id ?? null },
    });
    for (const look of waiting) look();
    return true;
  };
  const server = createServer(async (request, response) => {
    response.writeHead((await take(request)) ? 204 : 401).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    told,
    refused: () => refused,
    until: async (isEnough, patienceMs) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const look = (): void => {
        if (isEnough()) resolve();
      };
      const late = () => reject(new Error(`nothing more was told for ${patienceMs / 1_000} s`));
      const timer = setTimeout(late, patienceMs);
      waiting.add(look);
      look();
      await promise.finally(() => {
        clearTimeout(timer);
        waiting.delete(look);
      });
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
