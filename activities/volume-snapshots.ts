import type { Readable } from 'node:stream';
import { Context } from '@temporalio/activity';
import type { NodeActivities } from '../contracts/node-activities.ts';
import type { SnapshotContent, VolumeActivities } from '../contracts/volumes.ts';
import { volumeLabels, volumeName } from '../domain/naming.ts';
import { withHeartbeats } from './heartbeats.ts';

/** What snapshots need from the world. */
export interface SnapshotPorts {
  readonly instance: string;
  readonly runtime: {
    readVolume<Answer>(
      of: { readonly volume: string; readonly reader: string },
      use: (archive: Readable) => Promise<Answer>,
    ): Promise<Answer>;
    fillVolume(
      volume: { readonly name: string; readonly labels: Readonly<Record<string, string>> },
      archive: Readable,
    ): Promise<void>;
  };
  readonly files: {
    write(snapshotId: string, archive: Readable, onBytes: (bytes: number) => void): Promise<SnapshotContent>;
    openChecked(snapshotId: string, content: SnapshotContent): Promise<Readable>;
    remove(snapshotId: string): Promise<void>;
  };
}

/**
 * Creates the activities of snapshots.
 *
 * Safe to run twice: a snapshot is written anew under the name of its id, and a volume that is restored, which nobody
 * mounts yet, is made anew.
 */
export function createVolumeSnapshots({
  instance,
  runtime,
  files,
}: SnapshotPorts): Omit<VolumeActivities, 'carryVolume'> & Pick<NodeActivities, 'dropSnapshot'> {
  return {
    takeSnapshot: ({ snapshotId, ...of }) =>
      withHeartbeats({ step: 'read' }, async (heartbeats) => {
        const signal = Context.current().cancellationSignal;
        return await runtime.readVolume({ volume: volumeName(instance, of), reader: snapshotId }, async (archive) => {
          signal.addEventListener('abort', () => archive.destroy(signal.reason as Error), { once: true });
          return await files.write(snapshotId, archive, (bytes) => {
            heartbeats.report({ step: 'read', bytes: String(bytes) });
          });
        });
      }),
    restoreSnapshot: ({ volumeId, projectId, snapshotId, sizeBytes, sha256 }) =>
      withHeartbeats({ step: 'check' }, async (heartbeats) => {
        const signal = Context.current().cancellationSignal;
        const archive = await files.openChecked(snapshotId, { sizeBytes, sha256 });
        signal.addEventListener('abort', () => archive.destroy(signal.reason as Error), { once: true });
        heartbeats.report({ step: 'fill' });
        const labels = volumeLabels({ instance, projectId, volumeId });
        await runtime.fillVolume({ name: volumeName(instance, { volumeId }), labels }, archive);
      }),
    dropSnapshot: ({ snapshotId }) => withHeartbeats({ step: 'remove' }, () => files.remove(snapshotId)),
  };
}
