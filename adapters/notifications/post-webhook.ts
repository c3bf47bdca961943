import { createHmac } from 'node:crypto';
import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP } from 'node:net';
import { type Notification, signedText, toWebhookBody } from '../../domain/alerts/notification.ts';
import type { WebhookTarget } from '../../domain/alerts/targets.ts';
import { DomainError } from '../../domain/errors.ts';
import { type Endpoint, type EndpointRules, resolvePublicEndpoint } from './public-endpoint.ts';

/** How webhooks are sent. */
export interface WebhookOptions extends EndpointRules {
  /** PEM certificates that receivers are checked against in place of the machine's. */
  readonly ca?: string | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** How long a receiver may take for all of it, milliseconds. Default 10 s. */
  readonly timeoutMs?: number;
}

/** A receiver's answer is not read: so much may come of it without the connection being cut. */
const MAX_ANSWER_BYTES = 16 * 1024;

/** Answers that no retry changes: the receiver says that it is gone for good, or sends us somewhere else. */
const isFinal = (status: number): boolean => status === 410 || (status >= 300 && status < 400);

/**
 * Posts a notification, signed: `obiente-signature: t=<seconds>,v1=<hex HMAC-SHA256 of "<seconds>.<body>">`.
 *
 * Connects to the address that was checked, follows no redirect, and reads nothing of the answer but its status.
 *
 * @throws DELIVERY_FAILED, DELIVERY_REFUSED: neither says more of the receiver than its status.
 */
export async function postWebhook(
  { url }: WebhookTarget,
  notification: Notification,
  secret: string,
  options: WebhookOptions,
): Promise<void> {
  const to = new URL(url);
  const port = Number(to.port) || (to.protocol === 'https:' ? 443 : 80);
  const endpoint = await resolvePublicEndpoint(to.hostname, port, options);
  const body = toWebhookBody(notification);
  const timestamp = Math.floor(options.now() / 1_000);
  const signature = createHmac('sha256', secret).update(signedText(timestamp, body)).digest('hex');
  const status = await exchange(
    to,
    { endpoint, port, options, body },
    {
      'content-type': 'application/json',
      'content-length': `${Buffer.byteLength(body)}`,
      'user-agent': 'obiente-cloud',
      'obiente-delivery': notification.id,
      'obiente-event': notification.kind === 'test' ? 'test' : `alert.${notification.kind}`,
      'obiente-signature': `t=${timestamp},v1=${signature}`,
    },
  );
  if (status >= 200 && status < 300) return;
  if (isFinal(status)) throw new DomainError('DELIVERY_REFUSED', `${to.host} answered ${status}; that is final`);
  throw new DomainError('DELIVERY_FAILED', `${to.host} answered ${status}`);
}

interface Exchange {
  readonly endpoint: Endpoint;
  readonly port: number;
  readonly options: WebhookOptions;
  readonly body: string;
}

/** Makes the request and answers with the status. */
async function exchange(to: URL, { endpoint, port, options, body }: Exchange, headers: Record<string, string>) {
  const request = to.protocol === 'https:' ? requestHttps : requestHttp;
  const hostname = to.hostname.replace(/^\[(.*)\]$/, '$1');
  const signal = AbortSignal.timeout(options.timeoutMs ?? 10_000);
  try {
    const sent = request({
      ...{ method: 'POST', host: endpoint.address, family: endpoint.family, port, path: `${to.pathname}${to.search}` },
      ...(isIP(hostname) === 0 ? { servername: hostname } : {}),
      ...(options.ca === undefined ? {} : { ca: options.ca }),
      ...{ headers: { ...headers, host: to.host }, agent: false, signal },
    });
    return await answerOf(sent, body);
  } catch (cause) {
    const code = signal.aborted ? 'no answer in time' : ((cause as NodeJS.ErrnoException).code ?? 'broken off');
    throw new DomainError('DELIVERY_FAILED', `${to.host} could not be reached: ${code}`, { cause });
  }
}

function answerOf(sent: ClientRequest, body: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  sent.on('error', reject);
  sent.on('response', (answer: IncomingMessage) => {
    // The status is all that counts, and it has come.
    resolve(answer.statusCode ?? 0);
    let read = 0;
    answer.on('error', () => undefined);
    answer.on('data', (chunk: Buffer) => {
      read += chunk.length;
      if (read > MAX_ANSWER_BYTES) answer.destroy();
    });
  });
  sent.end(body);
  return promise;
}
