import { invalidArgument } from '../errors.ts';
import { checkHost } from '../public-host.ts';

/** Where notifications go by HTTP: they are signed with the target's secret. */
export interface WebhookTarget {
  readonly kind: 'webhook';
  readonly url: string;
}

/** Where notifications go by mail, through a server of the organization's own. The secret is the password there. */
export interface SmtpTarget {
  readonly kind: 'smtp';
  readonly host: string;
  readonly port: number;
  /** `tls` from the first byte, or `starttls` before anything else is said. There is none without. */
  readonly security: 'tls' | 'starttls';
  /** Empty for a server that asks for none; then there is no password either. */
  readonly username: string;
  readonly from: string;
  readonly to: readonly string[];
}

/** Where notifications go, without its secret. */
export type TargetConfig = WebhookTarget | SmtpTarget;

/** Bounds of what may be set up. */
export const TARGET_LIMITS = {
  /** Targets of an organization: each alert is told to all of them. */
  perOrganization: 20,
  recipients: 20,
  urlLength: 2_048,
} as const;

/** What a mailbox looks like as far as it matters here: one word, one at sign, nothing that breaks out of a header. */
const MAILBOX = /^[^\s@<>,;:"()[\]\\]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;

/**
 * Checks a target. Its host must be on the internet, or allowed by the operator as `host` or `host:port`; what its name
 * resolves to is checked each time that something is sent.
 *
 * @throws INVALID_ARGUMENT with the field.
 */
export function checkTarget(target: TargetConfig, allowedHosts: readonly string[]): void {
  if (target.kind === 'webhook') checkWebhook(target, allowedHosts);
  else checkSmtp(target, allowedHosts);
}

function checkWebhook({ url }: WebhookTarget, allowed: readonly string[]): void {
  const parsed = url.length <= TARGET_LIMITS.urlLength && URL.canParse(url) ? new URL(url) : undefined;
  const isFit = parsed !== undefined && (parsed.protocol === 'https:' || parsed.protocol === 'http:');
  if (!isFit) throw invalidArgument('webhook.url', 'found no such URL', 'an absolute https or http URL');
  if (parsed.username !== '' || parsed.password !== '') {
    throw invalidArgument('webhook.url', 'found a user in it', 'a URL without; requests are signed');
  }
  const host = parsed.host.startsWith('[') ? parsed.hostname : parsed.host;
  if ([parsed.host, parsed.hostname].some((name) => allowed.includes(name))) return;
  checkHost('webhook.url', { kind: 'host', host, allowed });
  if (parsed.protocol === 'http:') {
    throw invalidArgument('webhook.url', 'found http', 'https, or http of a host that the operator allows');
  }
}

function checkSmtp(target: SmtpTarget, allowed: readonly string[]): void {
  const { host, port, from, to, username } = target;
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw invalidArgument('smtp.port', `found ${port}`, 'a port from 1 to 65535');
  }
  if (!allowed.includes(`${host}:${port}`.toLowerCase()))
    checkHost('smtp.host', { kind: 'mail server', host, allowed });
  if (username.length > 255) throw invalidArgument('smtp.username', 'found a longer one', '255 characters');
  if (to.length < 1 || to.length > TARGET_LIMITS.recipients) {
    throw invalidArgument('smtp.to', `found ${to.length} addresses`, `1 to ${TARGET_LIMITS.recipients}`);
  }
  for (const [field, address] of [['smtp.from', from], ...to.map((one) => ['smtp.to', one] as const)] as const) {
    if (!MAILBOX.test(address))
      throw invalidArgument(field, 'found no such address', 'an address such as ops@example.com');
  }
}

/** Says where a target leads, without what may be secret in it: the path of a webhook often is. */
export function describeTarget(target: TargetConfig): string {
  if (target.kind === 'smtp') return `${target.to.join(', ')} by ${target.host}`;
  const { protocol, host } = new URL(target.url);
  return `${protocol}//${host}/…`;
}

/** What the secret of a target is sealed for, beside its version, which is the target's id. */
export function targetSecretPlace({ organizationId }: { readonly organizationId: string }) {
  return { organizationId, owner: 'alerts', name: 'secret of a notification target' };
}
