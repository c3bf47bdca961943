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
  /** Set: what writes the volume is stopped meanwhile, on behalf of this user. Absent: it goes on writing. */
  readonly stopFor?: { readonly actorUserId: string };
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

/** What writes a volume, and whether it has to be stopped for a snapshot. */
export interface VolumeWriter {
  readonly deploymentId: string;
  /** Whether it runs, or something is under way that may make it run. */
  readonly runs: boolean;
  /** Of its newest operation: what is asked for later has a higher one. */
  readonly sequence: number;
}

/** How an operation ended. */
export interface OperationEnding {
  readonly sequence: number;
  readonly succeeded: boolean;
  /** Why it did not; nothing of interest when it did. */
  readonly error: string;
}

/** How a writer stood while its volume was read. */
export interface WriterMeanwhile {
  /** Whether nothing of it was started. */
  readonly stoodStill: boolean;
  /** Whether it is still stopped, and nobody has said since what it shall be. */
  readonly isToStart: boolean;
}

/** Activities on the database, run as local activities. Each is one transaction, and repeatable. */
export interface SnapshotRecords {
  /** Says which deployment writes a volume; `null` when none does. */
  findWriter(input: { readonly volumeId: string }): Promise<VolumeWriter | null>;
  /** Says how an operation ended; `null` when it was never stored. */
  findEnd(input: { readonly operationId: string }): Promise<OperationEnding | null>;
  /** Says what became of a writer since an operation of it. */
  lookBack(input: { readonly deploymentId: string; readonly sequence: number }): Promise<WriterMeanwhile>;
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
