import type { VolumeCopy } from '../domain/naming.ts';
import type { CarriedVolume, OperationFailure } from './rollout.ts';
import type { RolloutTiming } from './timing.ts';

/** Workflow type of a snapshot. */
export const SNAPSHOT_WORKFLOW = 'snapshotVolume';

/** Workflow type of a restore. */
export const RESTORE_WORKFLOW = 'restoreVolume';

/** Workflow id of a snapshot. */
export function snapshotWorkflowId(snapshotId: string): string {
  return `snapshot/${snapshotId}`;
}

/** Workflow id of a restore: one for the volume that it makes. */
export function restoreWorkflowId(volumeId: string): string {
  return `volume/${volumeId}/restore`;
}

/** Input of the workflow of a snapshot. */
export interface SnapshotInput extends VolumeCopy {
  readonly snapshotId: string;
  readonly nodeId: string;
  readonly timing: Pick<RolloutTiming, 'nodePickUpMs' | 'heartbeatMs'>;
}

/** Input of the workflow of a restore. */
export interface RestoreInput extends SnapshotContent {
  /** The volume that is made of it; nobody mounts it before it is whole. */
  readonly volumeId: string;
  readonly projectId: string;
  readonly snapshotId: string;
  readonly nodeId: string;
  readonly timing: Pick<RolloutTiming, 'nodePickUpMs' | 'heartbeatMs'>;
}

/** What a snapshot holds. */
export interface SnapshotContent {
  readonly sizeBytes: number;
  /** Hex. */
  readonly sha256: string;
}

/** Activities on the database, run as local activities. Each is one transaction, and repeatable. */
export interface SnapshotRecords {
  /** Records that a snapshot is whole; the oldest ones beyond the number that is kept are to be removed by their node. */
  finishSnapshot(input: SnapshotContent & { readonly snapshotId: string }): Promise<void>;
  /** Records that a snapshot could not be taken. */
  failSnapshot(input: { readonly snapshotId: string; readonly failure: OperationFailure }): Promise<void>;
  /** Records that a restored volume is whole, or why it is not: then it can only be deleted. */
  endRestore(input: { readonly volumeId: string; readonly failure: OperationFailure | null }): Promise<void>;
}

/** Activities on one node, on its own queue. */
export interface VolumeActivities {
  /**
   * Writes all that is in a volume to a file of the node. Heartbeats tell how many bytes.
   *
   * @throws INSUFFICIENT_CAPACITY: final. Leaves no part of a file when it throws.
   */
  takeSnapshot(input: VolumeCopy & { readonly snapshotId: string }): Promise<SnapshotContent>;
  /**
   * Makes a volume of a snapshot, anew from the start with each attempt.
   *
   * @throws SNAPSHOT_DAMAGED: final, before anything is touched.
   */
  restoreSnapshot(input: Omit<RestoreInput, 'nodeId' | 'timing'>): Promise<void>;
  /**
   * Makes a copy of a volume of what another node has, anew from the start with each attempt. Heartbeats tell how many
   * bytes. Whoever wrote the volume must be gone.
   *
   * @throws INSUFFICIENT_CAPACITY: final. NODE_UNAVAILABLE, VOLUME_IN_USE (retryable).
   */
  carryVolume(input: Pick<CarriedVolume, 'volumeId' | 'projectId' | 'copy'>): Promise<void>;
}

/** Data that is to go from a node. */
export interface DoomedData {
  /** Volumes that somebody has deleted, and copies of which there is a newer one elsewhere; absent is the same as none. */
  readonly volumes?: readonly VolumeCopy[];
  /** Snapshots that somebody has deleted, or whose place newer ones have taken. */
  readonly snapshots?: readonly { readonly snapshotId: string }[];
}

/** Activities that remove data, on one node's own queue. */
export interface DataRemovals {
  /** Removes a copy of a volume, with all that is in it. @throws VOLUME_IN_USE (retryable) */
  removeVolume(input: VolumeCopy): Promise<void>;
  /** Removes the file of a snapshot; one that is not there counts as removed. */
  dropSnapshot(input: { readonly snapshotId: string }): Promise<void>;
}
