import type { DeliveryActivities } from '../contracts/alerts.ts';
import type { Notification } from '../domain/alerts/notification.ts';
import type { SmtpTarget, TargetConfig, WebhookTarget } from '../domain/alerts/targets.ts';
import { DomainError, isDomainError } from '../domain/errors.ts';

/** A notification that is to be delivered now, and where. */
export interface PendingDelivery {
  readonly notification: Notification;
  readonly target: {
    readonly id: string;
    readonly organizationId: string;
    readonly config: TargetConfig;
    /** `null` where there is none. */
    readonly sealedSecret: string | null;
  };
  /** Whether another one of the same alert is still on its way to the same target, and comes first. */
  readonly isBehind: boolean;
}

/** What the delivery of notifications reads and writes. Every method is safe to repeat. */
export interface DeliveryRecords {
  /** Finds what is to be delivered; `undefined` when that was done, or given up, or deleted with its target. */
  find(notificationId: string): Promise<PendingDelivery | undefined>;
  /** Records an attempt that failed. What it says must hold no secret. */
  recordFailure(notificationId: string, message: string): Promise<void>;
  recordDelivered(notificationId: string): Promise<void>;
  giveUp(notificationId: string, message: string): Promise<void>;
}

/** Ways out. Both throw DELIVERY_FAILED for what a retry may change and DELIVERY_REFUSED for what none can. */
export interface Senders {
  postWebhook(target: WebhookTarget, notification: Notification, secret: string): Promise<void>;
  sendMail(target: SmtpTarget, notification: Notification, password: string | null): Promise<void>;
}

/** What deliveries need. */
export interface DeliveryDeps extends Senders {
  readonly records: DeliveryRecords;
  /** Opens the secret of a target. */
  readonly openSecret: (target: PendingDelivery['target'] & { readonly sealedSecret: string }) => Promise<string>;
  /** Told of each attempt's end. */
  readonly onAttempt?: (outcome: 'delivered' | 'failed' | 'given-up') => void;
}

/** Creates the activities that deliver notifications. */
export function createDeliverNotification({ records, ...deps }: DeliveryDeps): DeliveryActivities {
  const send = async ({ notification, target }: PendingDelivery): Promise<void> => {
    const { config, sealedSecret } = target;
    const secret = sealedSecret === null ? null : await deps.openSecret({ ...target, sealedSecret });
    if (config.kind === 'webhook') await deps.postWebhook(config, notification, secret ?? '');
    else await deps.sendMail(config, notification, secret);
  };
  return {
    deliver: async ({ notificationId }) => {
      const pending = await records.find(notificationId);
      if (!pending) return;
      if (pending.isBehind) {
        throw new DomainError('DELIVERY_FAILED', 'the notification that it fired comes first and is on its way');
      }
      try {
        await send(pending);
      } catch (error) {
        deps.onAttempt?.('failed');
        const message = isDomainError(error) ? error.message : 'the platform itself failed; its log says how';
        await records.recordFailure(notificationId, message);
        throw error;
      }
      await records.recordDelivered(notificationId);
      deps.onAttempt?.('delivered');
    },
    giveUpDelivery: async ({ notificationId, reason }) => {
      await records.giveUp(notificationId, reason);
      deps.onAttempt?.('given-up');
    },
  };
}
