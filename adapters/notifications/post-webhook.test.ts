import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Notification } from '../../domain/alerts/notification.ts';
import { aCertificate, aNotification } from '../../test/support/alerts.ts';
import { postWebhook, type WebhookOptions } from './post-webhook.ts';

const SECRET = 'a secret that only both know';
const NOW_MS = 1_800_000_000_000;

interface Received {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A receiver on this machine, which the operator allows. */
async function receiver(
  answer: (response: ServerResponse) => void,
  certificate?: { certificate: string; key: string },
) {
  const received: Received[] = [];
  const handler = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    received.push({ headers: request.headers, body: Buffer.concat(parts).toString() });
    answer(response);
  };
  const listener = (request: IncomingMessage, response: ServerResponse) => void handler(request, response);
  const server = certificate
    ? createTlsServer({ cert: certificate.certificate, key: certificate.key }, listener)
    : createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { received, port: (server.address() as AddressInfo).port };
}

const post = (url: string, options: Partial<WebhookOptions> = {}, notification: Notification = aNotification()) =>
  postWebhook({ kind: 'webhook', url }, notification, SECRET, {
    ...{ allowedHosts: [new URL(url).host], now: () => NOW_MS },
    ...options,
  });

const ends =
  (status: number, headers = {}) =>
  (response: ServerResponse) => {
    response.writeHead(status, headers).end();
  };

describe('a webhook', () => {
  it('is signed with its time, and says what it is', async () => {
    const { received, port } = await receiver(ends(204));
    const notification = aNotification();
    await post(`http://127.0.0.1:${port}/hook?x=1`, {}, notification);
    const { headers, body } = received[0] as Received;
    const t = NOW_MS / 1_000;
    const expected = createHmac('sha256', SECRET).update(`${t}.${body}`).digest('hex');
    expect(headers).toMatchObject({
      'obiente-signature': `t=${t},v1=${expected}`,
      'obiente-delivery': notification.id,
      'obiente-event': 'alert.fired',
      'content-type': 'application/json',
    });
    expect(JSON.parse(body)).toEqual({
      version: 1,
      id: notification.id,
      event: 'alert.fired',
      alert: notification.alert,
    });
  });

  it('checks the certificate for the name, although it connects to the address', async () => {
    const certificate = aCertificate('hooks.example.com');
    const { received, port } = await receiver(ends(200), certificate);
    const resolve = async () => [{ address: '127.0.0.1', family: 4 }];
    const named = `https://hooks.example.com:${port}/`;
    await post(named, { ca: certificate.certificate, resolve });
    expect(received[0]?.headers.host).toBe(`hooks.example.com:${port}`);
    await expect(post(named, { resolve })).rejects.toMatchObject({ code: 'DELIVERY_FAILED' });
    const other = `https://other.test:${port}/`;
    await expect(post(other, { ca: certificate.certificate, resolve })).rejects.toMatchObject({
      code: 'DELIVERY_FAILED',
    });
    expect(received).toHaveLength(1);
  });

  it.each([
    [500, 'DELIVERY_FAILED'],
    [404, 'DELIVERY_FAILED'],
    [429, 'DELIVERY_FAILED'],
    [410, 'DELIVERY_REFUSED'],
  ])('that is answered with %i has failed: %s', async (status, code) => {
    const { port } = await receiver(ends(status));
    await expect(post(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({ code });
  });

  it('follows no redirect', async () => {
    const inside = await receiver(ends(200));
    const { port } = await receiver(ends(302, { location: `http://127.0.0.1:${inside.port}/` }));
    await expect(post(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({ code: 'DELIVERY_REFUSED' });
    expect(inside.received).toEqual([]);
  });

  it('waits for no receiver that is silent, and reads no answer without an end', async () => {
    const silent = await receiver(() => undefined);
    await expect(post(`http://127.0.0.1:${silent.port}/`, { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'DELIVERY_FAILED',
    });
    const endless = await receiver((response) => {
      const write = (): void => {
        while (response.write(Buffer.alloc(65_536)));
      };
      response
        .writeHead(200)
        .on('drain', write)
        .on('error', () => undefined);
      write();
    });
    await post(`http://127.0.0.1:${endless.port}/`);
  });
});

describe('a webhook into the platform’s own network', () => {
  const inside = async () => await receiver(ends(200));

  it.each([
    ['a loopback', [{ address: '127.0.0.1', family: 4 }]],
    ['a private network', [{ address: '10.0.0.7', family: 4 }]],
    ['a cloud’s metadata', [{ address: '169.254.169.254', family: 4 }]],
    ['a loopback of IPv6', [{ address: '::1', family: 6 }]],
    ['a mapped loopback', [{ address: '::ffff:127.0.0.1', family: 6 }]],
    ['a link-local address', [{ address: 'fe80::1', family: 6 }]],
    [
      'the internet and a loopback',
      [
        { address: '93.184.215.14', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ],
    ],
  ])('is refused for good when the name leads to %s', async (_, addresses) => {
    const { received, port } = await inside();
    const sending = post(`http://rebinds.example.com:${port}/`, { allowedHosts: [], resolve: async () => addresses });
    await expect(sending).rejects.toMatchObject({ code: 'DELIVERY_REFUSED' });
    expect(received).toEqual([]);
  });

  it('goes to the address that was checked, whatever the name says a moment later', async () => {
    const { received, port } = await inside();
    let asked = 0;
    const resolve = async () => {
      asked += 1;
      return [{ address: asked === 1 ? '203.0.113.1' : '127.0.0.1', family: 4 }];
    };
    // An address that nobody has (TEST-NET-3); what counts is that the second answer is never asked for.
    const sending = post(`http://rebinds.example.com:${port}/`, { allowedHosts: [], resolve, timeoutMs: 200 });
    await expect(sending).rejects.toMatchObject({ code: 'DELIVERY_FAILED' });
    expect([asked, received]).toEqual([1, []]);
  });

  it.each(['http://127.0.0.1', 'http://[::1]', 'http://2130706433', 'http://0x7f000001', 'http://0'])(
    'is refused at %s',
    async (origin) => {
      const { received, port } = await inside();
      await expect(post(`${origin}:${port}/`, { allowedHosts: [] })).rejects.toMatchObject({
        code: 'DELIVERY_REFUSED',
      });
      expect(received).toEqual([]);
    },
  );
});
