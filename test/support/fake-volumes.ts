import type { SnapshotRecords, VolumeActivities } from '../../contracts/volumes.ts';

/** Snapshots without a disk: what is asked of the node succeeds, and what is recorded is kept in order. */
export function createFakeVolumes() {
  const recorded: string[] = [];
  const node: Omit<VolumeActivities, 'carryVolume'> = {
    takeSnapshot: async () => ({ sizeBytes: 3, sha256: 'c'.repeat(64) }),
    restoreSnapshot: async () => undefined,
  };
  const records: SnapshotRecords = {
    finishSnapshot: async ({ sizeBytes }) => {
      recorded.push(`whole, ${sizeBytes} bytes`);
    },
    failSnapshot: async ({ failure }) => {
      recorded.push(`not whole: ${failure.code}`);
    },
    endRestore: async ({ failure }) => {
      recorded.push(failure === null ? 'made' : `not made: ${failure.code}`);
    },
  };
  return { node, records, recorded };
}

/** What createFakeVolumes answers with. */
export type FakeVolumes = ReturnType<typeof createFakeVolumes>;
