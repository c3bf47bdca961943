import type { DiskLevel } from '../domain/disk-guard.ts';

/** Workflow type of the entity that watches one node. */
export const NODE_WORKFLOW = 'node';

/** Workflow id of a node's entity. */
export function nodeWorkflowId(nodeId: string): string {
  return `node/${nodeId}`;
}

/** Signal: the node has enrolled (again), so watching it is worth trying at once. No argument. */
export const ENROLLED_SIGNAL = 'enrolled';

/** Signal: something that the node still has is to go. No argument: what it is stands in the database. */
export const DOOMED_SIGNAL = 'doomed';

/** How much room a node's disk has left. */
export interface DiskNotice {
  readonly level: DiskLevel;
  /** For people; empty while there is room. */
  readonly notice: string;
}

/** What a node is. */
export interface NodeStateChange {
  readonly nodeId: string;
  readonly state: 'ready' | 'degraded' | 'lost';
  /** For people; empty when all is well. */
  readonly reason: string;
  /** Absent: what is known of its disk stays as it is. */
  readonly disk?: DiskNotice;
}

/** Input of the watch of a node. */
export interface WatchNodeInput {
  readonly known: NodeStateChange['state'];
  readonly maxMs: number;
  /** Absent: the disk is neither watched nor told of. Workflows that began before it was watched ask so. */
  readonly knownDisk?: DiskLevel;
}

/** Answer of the watch of a node. */
export interface WatchedNode {
  readonly state: 'ready' | 'degraded';
  readonly reason: string;
  /** Only when it was asked for, and once it has been measured. */
  readonly disk?: DiskNotice;
}

/** A loss of a node, and what was done about it so far. */
export interface NodeLoss {
  /** When what was there is to be replaced next, milliseconds since 1970. */
  readonly dueAt: number;
  readonly attempts: number;
}

/** What is recorded of a node's disk, and when the node was cleaned for it last, milliseconds since 1970. */
export interface KnownDisk extends DiskNotice {
  readonly cleanedAt: number;
}

/** Input of the node workflow. Times in milliseconds. */
export interface NodeInput {
  readonly nodeId: string;
  /** Silence after which the node counts as lost. */
  readonly heartbeatMs: number;
  /** Longest single watch; a new one follows. */
  readonly watchMs: number;
  /** Pause before a lost node is tried again, unless it enrols sooner. */
  readonly retryMs: number;
  /** What survives continue-as-new; absent in a first run. */
  readonly carried?: {
    readonly known: NodeStateChange['state'];
    readonly loss?: NodeLoss;
    readonly disk?: KnownDisk;
  };
}
