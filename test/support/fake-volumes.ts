import type { SnapshotRecords, VolumeActivities } from '../../contracts/volumes.ts';
import type { createFakeCluster } from './fake-cluster.ts';

/** Snapshots without a disk: what is asked of the node succeeds, and what is recorded is kept in order. */
export function createFakeVolumes() {
  const recorded: string[] = [];
  const node: Omit<VolumeActivities, 'carryVolume'> = {
    takeSnapshot: async () => ({ sizeBytes: 3, sha256: 'c'.repeat(64) }),
    restoreSnapshot: async () => undefined,
  };
  const records: SnapshotRecords = {
    findWriter: async () => null,
    findEnd: async () => null,
    lookBack: async () => ({ stoodStill: true, isToStart: true }),
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

/** The same for a volume that the deployment of a cluster writes: what is recorded of that is the cluster's. */
export function createWrittenVolume(cluster: ReturnType<typeof createFakeCluster>, deploymentId: string) {
  const { node, records, recorded } = createFakeVolumes();
  const operations = () => [...cluster.operations.values()];
  const written: SnapshotRecords = {
    ...records,
    findWriter: async () => {
      const isOpen = operations().some(({ state }) => state === 'queued' || state === 'running');
      const runs = isOpen || [...cluster.replicas.values()].some(({ serving }) => serving);
      return { deploymentId, runs, sequence: cluster.operations.size };
    },
    findEnd: async ({ operationId }) => {
      const operation = cluster.operations.get(operationId);
      if (!operation) return null;
      const sequence = operations().indexOf(operation) + 1;
      return { sequence, succeeded: operation.state === 'succeeded', error: `the operation is ${operation.state}` };
    },
    lookBack: async ({ sequence }) => {
      const since = operations().slice(sequence);
      return { stoodStill: since.every(({ kind }) => kind === 'stop'), isToStart: since.length === 0 };
    },
  };
  const takeSnapshot: VolumeActivities['takeSnapshot'] = async (input) => {
    cluster.steps.push('snapshot');
    return await node.takeSnapshot(input);
  };
  return { node: { ...node, takeSnapshot }, records: written, recorded };
}
