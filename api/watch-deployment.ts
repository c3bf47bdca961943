import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ChangeFeed } from '../adapters/postgres/changes.ts';
import type { Database } from '../adapters/postgres/database.ts';
import { findDeployment } from '../adapters/postgres/deployments.ts';
import { type DeploymentEventRecord, listEvents } from '../adapters/postgres/events.ts';
import type { WatchDeploymentResponseSchema } from '../gen/obiente/cloud/v1/deployments_pb.ts';
import { createWakeUp } from './wake-up.ts';
import type { PublicAddress } from './wire/address.ts';
import { toWireDeployment } from './wire/deployment.ts';
import { toWireEvent } from './wire/operation.ts';

/** Events read at a time: what a slow reader makes this process hold. */
const BATCH = 200;

/** What a watch needs. */
export interface WatchDeps {
  readonly db: Database;
  readonly changes: ChangeFeed;
  readonly address: PublicAddress;
  readonly heartbeatMs: number;
  readonly now: () => Date;
  readonly signal: AbortSignal;
}

type WatchMessage = MessageInitShape<typeof WatchDeploymentResponseSchema>;

/**
 * Streams a deployment's events after a sequence, in order, without gaps, until the deployment has been deleted.
 *
 * The feed only wakes; what is sent is read from the table. So nothing is lost while the feed reconnects, and a reader
 * who is slow makes the next read larger, not a queue. The newest event of each read carries the deployment.
 */
export async function* watchDeployment(
  { db, changes, address, heartbeatMs, now, signal }: WatchDeps,
  { deploymentId, afterSequence }: { readonly deploymentId: string; readonly afterSequence: number },
): AsyncGenerator<WatchMessage> {
  const changed = createWakeUp();
  const unsubscribe = changes.subscribe({ deploymentId }, () => changed.wake());
  // A generator that waits for a client that is gone is never resumed: the signal is what surely comes.
  signal.addEventListener('abort', unsubscribe, { once: true });
  let last = afterSequence;
  try {
    for (;;) {
      signal.throwIfAborted();
      const events = await listEvents(db, { deploymentId, afterSequence: last, limit: BATCH });
      const hasAll = events.length < BATCH;
      // Read after the events, so that it is never older than the newest of them.
      const deployment = hasAll ? await findDeployment(db, deploymentId) : undefined;
      for (const event of events) {
        last = event.sequence;
        const isNewest = deployment !== undefined && event === events.at(-1);
        yield toMessage(event, isNewest ? toWireDeployment(deployment, address, now()) : undefined);
      }
      if (hasAll && !deployment && events.length === 0) return;
      if (!deployment) continue;
      if (!(await changed.wait(heartbeatMs, signal)) && !signal.aborted) yield { sequence: 0n };
    }
  } finally {
    unsubscribe();
    signal.removeEventListener('abort', unsubscribe);
  }
}

function toMessage(event: DeploymentEventRecord, deployment: WatchMessage['deployment']): WatchMessage {
  const message = { sequence: BigInt(event.sequence), event: toWireEvent(event) };
  return deployment ? { ...message, deployment } : message;
}
