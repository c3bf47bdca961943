import type { Severity } from './alert-rules.ts';

/** What is told: an alert begins to fire, it has resolved, or somebody tries a target. */
export type NotificationKind = 'fired' | 'resolved' | 'test';

/** Everything that a notification says. Times are RFC 3339. */
export interface Notification {
  /** UUID; the same in each attempt, so that a receiver can tell a repetition. */
  readonly id: string;
  readonly kind: NotificationKind;
  readonly alert: {
    readonly id: string;
    readonly rule: string;
    readonly severity: Severity;
    readonly summary: string;
    /** The newest value that was read. */
    readonly value: number;
    readonly unit: string;
    readonly organization: string | null;
    readonly deployment: string | null;
    readonly deployment_id: string | null;
    readonly node_id: string | null;
    readonly firing_since: string;
    readonly resolved_at: string | null;
  } | null;
}

/** A mail. */
export interface Mail {
  readonly subject: string;
  readonly text: string;
}

/** Bytes of a webhook's body at most; what is told is some hundred, names included. */
export const MAX_BODY_BYTES = 16 * 1024;

/** The body of a webhook: stable names, one line of JSON. */
export function toWebhookBody({ id, kind, alert }: Notification): string {
  const body = JSON.stringify({ version: 1, id, event: kind === 'test' ? 'test' : `alert.${kind}`, alert });
  if (Buffer.byteLength(body) > MAX_BODY_BYTES) throw new Error('the body of a notification is too large');
  return body;
}

/** What is signed: the time is part of it, so that a receiver can refuse what is old. Seconds since 1970. */
export function signedText(timestamp: number, body: string): string {
  return `${timestamp}.${body}`;
}

/** The mail of a notification. Names in it come from tenants: no line break of theirs gets into the subject. */
export function toMail({ id, kind, alert }: Notification): Mail {
  if (alert === null) {
    return { subject: '[Obiente] test', text: `This mail was asked for to try its target.\n\nNotification ${id}\n` };
  }
  const subject = alert.deployment ?? (alert.node_id === null ? 'the platform' : `node ${alert.node_id}`);
  const word = kind === 'resolved' ? 'RESOLVED' : alert.severity.toUpperCase();
  const lines = [
    `${alert.summary}${kind === 'resolved' ? ': this is over' : ''}.`,
    '',
    `Rule:        ${alert.rule}`,
    `Of:          ${subject}`,
    ...(alert.organization === null ? [] : [`Organization: ${alert.organization}`]),
    `Value:       ${showValue(alert.value, alert.unit)}`,
    `Since:       ${alert.firing_since}`,
    ...(alert.resolved_at === null ? [] : [`Until:       ${alert.resolved_at}`]),
    '',
    `Alert ${alert.id}, notification ${id}`,
    '',
  ];
  return { subject: oneLine(`[Obiente] ${word} ${alert.rule}: ${subject}`), text: lines.join('\n') };
}

/** A value with its unit, as people read it. */
export function showValue(value: number, unit: string): string {
  const rounded = Math.round(value * 10) / 10;
  if (unit === 'percent') return `${rounded} %`;
  if (unit === 'days') return `${rounded} days`;
  if (unit === 'seconds') return `${rounded} s`;
  return unit === 'state' ? (value >= 1 ? 'yes' : 'no') : `${rounded}`;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').slice(0, 200);
}
