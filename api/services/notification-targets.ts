import { randomUUID } from 'node:crypto';
import type { ServiceImpl } from '@connectrpc/connect';
import {
  createTarget,
  createTestNotification,
  deleteTarget,
  getTarget,
  listTargets,
  setPlatformTarget,
} from '../../adapters/postgres/alerts/target-records.ts';
import type { Database } from '../../adapters/postgres/database.ts';
import type { Sealing } from '../../adapters/sealing/sealing.ts';
import { checkTarget, type TargetConfig, targetSecretPlace } from '../../domain/alerts/targets.ts';
import { DomainError, invalidArgument } from '../../domain/errors.ts';
import type { AlertsService, CreateNotificationTargetRequest } from '../../gen/obiente/cloud/v1/alerts_pb.ts';
import { getCallerOrganization } from '../auth/caller.ts';
import { hashRequest } from '../request-identity.ts';
import { toWireTarget } from '../wire/alert.ts';

/** What targets need. */
export interface TargetsDeps {
  readonly db: Database;
  readonly sealing: Sealing;
  /** Hosts that may be named although they are not on the internet. */
  readonly alerts: { readonly allowedHosts: readonly string[] };
  /** Sees to it that a notification is delivered now; what fails is delivered by the schedule. */
  readonly deliver: (notificationId: string) => Promise<void>;
}

type Targets = Pick<
  ServiceImpl<typeof AlertsService>,
  | 'createNotificationTarget'
  | 'listNotificationTargets'
  | 'deleteNotificationTarget'
  | 'testNotificationTarget'
  | 'setPlatformTarget'
>;

/** Shortest secret that signs: whoever guesses it can make the receiver believe anything. */
const SECRET_LENGTH = 16;

/** Notifications that may wait for a target when a test of it is asked for. */
const MOST_WAITING = 100;

/** Creates the part of the service of alerts that says where they are told. Secrets come in only. */
export function createNotificationTargets({ db, sealing, alerts, deliver }: TargetsDeps): Targets {
  return {
    async createNotificationTarget(request, context) {
      const organizationId = getCallerOrganization(context);
      const { config, secret } = fromWire(request);
      checkTarget(config, alerts.allowedHosts);
      const [id, place] = [randomUUID(), targetSecretPlace({ organizationId })];
      const [sealedSecret, fingerprint] = await Promise.all([
        secret === '' ? null : sealing.seal({ ...place, version: id, value: secret }),
        secret === '' ? '' : sealing.fingerprint({ organizationId, value: secret }),
      ]);
      const { idempotencyKey, name } = request;
      const requestHash = hashRequest('CreateNotificationTarget', name, config, fingerprint);
      const target = { id, organizationId, name, config, sealedSecret, idempotencyKey, requestHash };
      return { target: toWireTarget(await createTarget(db, target)) };
    },
    async listNotificationTargets(_request, context) {
      return { targets: (await listTargets(db, getCallerOrganization(context))).map(toWireTarget) };
    },
    async deleteNotificationTarget({ name }, context) {
      await deleteTarget(db, getCallerOrganization(context), name);
      return {};
    },
    async testNotificationTarget({ idempotencyKey, name }, context) {
      const organizationId = getCallerOrganization(context);
      const { id: targetId, waiting } = await getTarget(db, organizationId, name);
      if (waiting >= MOST_WAITING) throw tooManyWait(name, waiting);
      const requestHash = hashRequest('TestNotificationTarget', targetId);
      const test = { organizationId, targetId, idempotencyKey, requestHash };
      const notificationId = await createTestNotification(db, test);
      await deliver(notificationId);
      return { notificationId };
    },
    async setPlatformTarget({ organizationId: given, name, platform }) {
      const organizationId = given.toLowerCase();
      return { target: toWireTarget(await setPlatformTarget(db, { organizationId, name, platform })) };
    },
  };
}

function fromWire({ target }: CreateNotificationTargetRequest): {
  readonly config: TargetConfig;
  readonly secret: string;
} {
  if (target.case === 'webhook') {
    const { url, secret } = target.value;
    if (secret.length < SECRET_LENGTH) {
      throw invalidArgument('webhook.secret', 'found a shorter one', `at least ${SECRET_LENGTH} characters`);
    }
    return { config: { kind: 'webhook', url }, secret };
  }
  if (target.case === undefined) throw invalidArgument('target', 'is missing', 'webhook or smtp');
  const { host, port, tls, username, password, from, to } = target.value;
  if ((username === '') !== (password === '')) {
    throw invalidArgument('smtp.password', 'found only one of name and password', 'both or none');
  }
  const security = tls ? 'tls' : 'starttls';
  return { config: { kind: 'smtp', host: host.toLowerCase(), port, security, username, from, to }, secret: password };
}

function tooManyWait(name: string, waiting: number): DomainError {
  return new DomainError('INVALID_ARGUMENT', `${waiting} notifications wait for ${name} already`, {
    hint: '"obiente alerts targets" says what keeps them; remove the target to drop them.',
  });
}
