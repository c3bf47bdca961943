import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { DomainError, invalidArgument } from '../../domain/errors.ts';
import { readWebhookEvent, type WebhookEvent, type WebhookProvider } from '../../domain/webhook-events.ts';

/** Largest body that is read; a push of hundreds of commits has a few hundred KiB. */
export const MAX_WEBHOOK_BYTES = 1024 * 1024;

/** A delivery as it came in. */
export interface WebhookDelivery {
  /** Names in lower case, as Node gives them. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** The bytes that were signed, untouched. */
  readonly body: Uint8Array;
  /** What the receiving end and the server share. */
  readonly secret: string;
}

/** A genuine event. */
export interface DeliveredEvent extends WebhookEvent {
  readonly provider: WebhookProvider;
  /** The server's id of the delivery, the same when it is sent again. No signature covers it. */
  readonly deliveryId: string;
}

/** Gitea and Forgejo also send GitHub's headers, so theirs are looked for first. */
const EVENT_HEADERS: readonly (readonly [header: string, provider: WebhookProvider])[] = [
  ['x-gitea-event', 'gitea'],
  ['x-forgejo-event', 'gitea'],
  ['x-gitlab-event', 'gitlab'],
  ['x-github-event', 'github'],
];

/** In the order in which they count. GitLab's event id is shared by the hooks that one event sets off. */
const DELIVERY_HEADERS: Record<WebhookProvider, readonly string[]> = {
  github: ['x-github-delivery'],
  gitlab: ['idempotency-key', 'x-gitlab-event-uuid'],
  gitea: ['x-gitea-delivery', 'x-forgejo-delivery'],
};

/**
 * Verifies a webhook of GitHub, GitLab, Gitea or Forgejo and reads what it says.
 *
 * Nothing of the body is looked at before the secret is proven: by HMAC-SHA-256 of the body, or with GitLab by the
 * token itself. A genuine delivery may be sent again by anybody who saw it, under another id: take it for a hint to look
 * at the repository, not for the truth about it.
 *
 * @throws UNAUTHENTICATED for a proof that is missing, wrong or by SHA-1; INVALID_ARGUMENT for a body that is too large
 * or no payload, and for missing headers.
 */
export function readDelivery({ headers, body, secret }: WebhookDelivery): DeliveredEvent {
  if (body.length > MAX_WEBHOOK_BYTES) {
    throw invalidArgument('body', `${body.length} bytes`, `at most ${MAX_WEBHOOK_BYTES} bytes`);
  }
  const header = (name: string): string => {
    const value = headers[name];
    return typeof value === 'string' ? value : '';
  };
  const [eventHeader, provider] = EVENT_HEADERS.find(([name]) => header(name) !== '') ?? [];
  if (eventHeader === undefined || provider === undefined) {
    throw invalidArgument('headers', 'no event is named', 'a webhook of GitHub, GitLab, Gitea or Forgejo');
  }
  if (secret === '') throw unauthenticated('it has no secret at this end');
  verify(provider, { header, body, secret });
  const deliveryId = DELIVERY_HEADERS[provider].map(header).find((value) => value !== '') ?? '';
  if (!/^[\w.-]{1,100}$/.test(deliveryId)) {
    const names = DELIVERY_HEADERS[provider].join(' or ');
    throw invalidArgument('headers', 'the delivery has no usable id', `1 to 100 letters, digits and - in ${names}`);
  }
  return { provider, deliveryId, ...readWebhookEvent(provider, header(eventHeader), parse(header, body)) };
}

interface Proof {
  readonly header: (name: string) => string;
  readonly body: Uint8Array;
  readonly secret: string;
}

function verify(provider: WebhookProvider, { header, body, secret }: Proof): void {
  if (provider === 'gitlab') {
    const token = header('x-gitlab-token');
    if (token === '') throw unauthenticated('X-Gitlab-Token is missing');
    // Of one length whatever the token's: a comparison of the texts would tell how long the secret is.
    const key = randomBytes(32);
    const [given, expected] = [hmac(key, Buffer.from(token)), hmac(key, Buffer.from(secret))];
    if (!timingSafeEqual(given, expected)) throw unauthenticated('its token is wrong');
    return;
  }
  const name = provider === 'github' ? 'X-Hub-Signature-256' : 'X-Gitea-Signature';
  const value = provider === 'github' ? header('x-hub-signature-256') : giteaSignature(header);
  if (value === '') throw unauthenticated(`${name} is missing; allowed is a signature by SHA-256`);
  const [, hex] = (provider === 'github' ? /^sha256=([0-9a-f]{64})$/ : /^([0-9a-f]{64})$/).exec(value) ?? [];
  if (hex === undefined) throw unauthenticated(`${name} is no SHA-256 signature`);
  if (!timingSafeEqual(Buffer.from(hex, 'hex'), hmac(secret, body))) throw unauthenticated('its signature is wrong');
}

function giteaSignature(header: (name: string) => string): string {
  return header('x-gitea-signature') || header('x-forgejo-signature');
}

function hmac(key: string | Buffer, content: Uint8Array): Buffer {
  return createHmac('sha256', key).update(content).digest();
}

function parse(header: (name: string) => string, body: Uint8Array): unknown {
  if (!/^application\/json\b/i.test(header('content-type'))) {
    throw new DomainError('INVALID_ARGUMENT', 'headers: the body is not sent as JSON; allowed is application/json', {
      field: 'headers',
      hint: 'Set the content type of the webhook to application/json.',
    });
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (cause) {
    throw new DomainError('INVALID_ARGUMENT', 'body: it is no JSON text; allowed is the payload of a webhook', {
      field: 'body',
      cause,
    });
  }
}

function unauthenticated(finding: string): DomainError {
  return new DomainError('UNAUTHENTICATED', `webhook refused: ${finding}`, {
    hint: 'Give the webhook the secret that the deployment shows for it.',
  });
}
