import { randomUUID } from 'node:crypto';
import { createSelfSignedCertificate } from '../../adapters/traefik/self-signed-certificate.ts';
import type { Notification } from '../../domain/alerts/notification.ts';

/** A notification that an alert fires. */
export function aNotification(changes: Partial<Notification> = {}): Notification {
  return {
    id: randomUUID(),
    kind: 'fired',
    alert: {
      id: randomUUID(),
      rule: 'cpu',
      severity: 'warning',
      summary: 'a replica uses almost all the CPU that it may',
      value: 97.25,
      unit: 'percent',
      organization: 'acme',
      deployment: 'shop',
      deployment_id: randomUUID(),
      node_id: null,
      firing_since: '2026-01-01T00:00:00.000Z',
      resolved_at: null,
    },
    ...changes,
  };
}

/** A certificate of a server for tests, valid now. It is its own authority. */
export function aCertificate(...names: string[]) {
  const dayMs = 24 * 3_600_000;
  return createSelfSignedCertificate({
    names,
    notBefore: new Date(Date.now() - dayMs),
    notAfter: new Date(Date.now() + 30 * dayMs),
  });
}
