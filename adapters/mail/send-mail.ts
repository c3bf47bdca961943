import { isIP } from 'node:net';
import { createTransport } from 'nodemailer';
import { type Notification, toMail } from '../../domain/alerts/notification.ts';
import type { SmtpTarget } from '../../domain/alerts/targets.ts';
import { DomainError } from '../../domain/errors.ts';
import { type EndpointRules, resolvePublicEndpoint } from '../notifications/public-endpoint.ts';

/** How mails are sent. */
export interface MailOptions extends EndpointRules {
  /** PEM certificates that mail servers are checked against in place of the machine's. */
  readonly ca?: string | undefined;
  /** How long a server may be silent, milliseconds. Default 10 s. */
  readonly timeoutMs?: number;
}

/**
 * Sends a notification by a mail server of the organization's own, never in clear text.
 *
 * Connects to the address that was checked. The message id is made of the notification's, so that a mail which was sent
 * twice can be told.
 *
 * @throws DELIVERY_FAILED for what may pass (4xx, no connection), DELIVERY_REFUSED for what the server refuses for good
 *   (5xx). Neither holds anything that the server said but its code.
 */
export async function sendMail(
  target: SmtpTarget,
  notification: Notification,
  password: string | null,
  options: MailOptions,
): Promise<void> {
  const { address } = await resolvePublicEndpoint(target.host, target.port, options);
  const timeout = options.timeoutMs ?? 10_000;
  const transport = createTransport({
    ...{ host: address, port: target.port, secure: target.security === 'tls', requireTLS: true },
    tls: {
      ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
      ...(options.ca === undefined ? {} : { ca: options.ca }),
      minVersion: 'TLSv1.2',
    },
    ...(target.username === '' ? {} : { auth: { user: target.username, pass: password ?? '' } }),
    ...{ connectionTimeout: timeout, greetingTimeout: timeout, socketTimeout: timeout, dnsTimeout: timeout },
    ...{ disableFileAccess: true, disableUrlAccess: true },
  });
  try {
    const { subject, text } = toMail(notification);
    await transport.sendMail({
      ...{ from: target.from, to: [...target.to], subject, text },
      messageId: `<${notification.id}@${target.from.slice(target.from.lastIndexOf('@') + 1)}>`,
      headers: { 'auto-submitted': 'auto-generated' },
    });
  } catch (cause) {
    throw toFailure(target, cause);
  } finally {
    transport.close();
  }
}

function toFailure({ host }: SmtpTarget, cause: unknown): DomainError {
  const { code, responseCode } = cause as { readonly code?: unknown; readonly responseCode?: unknown };
  const said = typeof responseCode === 'number' ? `answered ${responseCode}` : 'could not be reached';
  const why = typeof code === 'string' && /^[A-Z]{1,20}$/.test(code) ? ` (${code})` : '';
  const isFinal = typeof responseCode === 'number' && responseCode >= 500;
  return new DomainError(isFinal ? 'DELIVERY_REFUSED' : 'DELIVERY_FAILED', `${host} ${said}${why}`, { cause });
}
