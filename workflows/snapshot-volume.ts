import { CancellationScope, proxyLocalActivities } from '@temporalio/workflow';
import type { RestoreInput, SnapshotInput, SnapshotRecords } from '../contracts/volumes.ts';
import { onData } from './activity-stubs.ts';
import { toOperationFailure } from './failures.ts';
import { createWriterStop } from './stop-writer.ts';

/** Short writes. Without an end of their retries: a snapshot outlives any outage of the database. */
const records = proxyLocalActivities<SnapshotRecords>({
  startToCloseTimeout: '15s',
  retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' },
});

/**
 * Takes a snapshot of a volume. One per snapshot, `snapshot/<snapshot id>`. Ends with its outcome recorded, also when it
 * is cancelled; what a failed one leaves is removed by its node.
 *
 * Where that is asked for, what writes the volume is stopped meanwhile: by an operation of its own, so whatever process dies,
 * it is stopped once, and started again once the snapshot has ended in whichever way. Where somebody has said meanwhile
 * what the deployment shall be, that counts.
 */
export async function snapshotVolume({ snapshotId, volumeId, copy, stopFor, ...on }: SnapshotInput): Promise<void> {
  const writer = stopFor ? createWriterStop(records, { snapshotId, volumeId, ...stopFor }) : undefined;
  try {
    await writer?.stop();
    const of = { snapshotId, volumeId, ...(copy === undefined ? {} : { copy }) };
    const content = await onData(on.nodeId, on.timing).takeSnapshot(of);
    await writer?.checkStillness();
    await CancellationScope.nonCancellable(() => records.finishSnapshot({ snapshotId, ...content }));
  } catch (error) {
    const failure = toOperationFailure(error, 'the snapshot was cancelled');
    await CancellationScope.nonCancellable(() => records.failSnapshot({ snapshotId, failure }));
  }
  if (writer) await CancellationScope.nonCancellable(() => writer.startAgain());
}

/**
 * Makes a volume of a snapshot. One per volume that is made, `volume/<volume id>/restore`. Nobody mounts the volume until
 * it is recorded as whole, so nobody ever sees half of it.
 */
export async function restoreVolume({ nodeId, timing, ...restore }: RestoreInput): Promise<void> {
  const { volumeId } = restore;
  try {
    await onData(nodeId, timing).restoreSnapshot(restore);
    await CancellationScope.nonCancellable(() => records.endRestore({ volumeId, failure: null }));
  } catch (error) {
    const failure = toOperationFailure(error, 'the restore was cancelled');
    await CancellationScope.nonCancellable(() => records.endRestore({ volumeId, failure }));
  }
}
