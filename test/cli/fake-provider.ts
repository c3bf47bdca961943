import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A form that a client sent, by endpoint. */
export interface ReceivedForm {
  readonly endpoint: 'device' | 'token';
  readonly form: Record<string, string>;
}

/** What an endpoint answers with. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Starts an identity provider that answers as told. */
export async function startFakeProvider(answer: (received: ReceivedForm) => Answer | Promise<Answer>) {
  const received: ReceivedForm[] = [];
  const server = createServer(async (request, response) => {
    const reply = ({ status, body }: Answer): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (request.url === '/.well-known/openid-configuration') {
      reply({
        status: 200,
        body: { issuer, token_endpoint: `${issuer}/token`, device_authorization_endpoint: `${issuer}/device` },
      });
      return;
    }
    const form = Object.fromEntries(new URLSearchParams(await text(request)));
    const one: ReceivedForm = { endpoint: request.url === '/device' ? 'device' : 'token', form };
    received.push(one);
    reply(await answer(one));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    received,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
