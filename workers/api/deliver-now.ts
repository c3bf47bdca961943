import type { Log } from '../../adapters/logging/log.ts';
import { startDelivery } from '../../adapters/temporal/delivery-gateway.ts';
import { DEFAULT_DELIVERY_TIMING } from '../../contracts/alerts.ts';

/** Asks for the delivery of a notification now. While Temporal is away it stays in the outbox, which the schedule reads. */
export function deliverNow(
  client: Parameters<typeof startDelivery>[0],
  log: Log,
): (notificationId: string) => Promise<void> {
  return async (notificationId) => {
    try {
      await startDelivery(client, { notificationId, timing: DEFAULT_DELIVERY_TIMING });
    } catch (err) {
      log.warn({ err, notificationId }, 'a notification is delivered later');
    }
  };
}
