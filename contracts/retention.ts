import type { RetentionPolicy } from '../domain/retention/policy.ts';

/** Workflow type of one run of retention. */
export const RETENTION_WORKFLOW = 'retention';

/** Workflow type of what the schedule starts: it sees to it that a run is under way. */
export const RETENTION_DUE_WORKFLOW = 'retentionDue';

/** Id of the schedule, and of what it starts, to which the server adds the time. */
export const RETENTION_SCHEDULE = 'retention-due';

/** Workflow id of a run: one at a time, and beside it one that only counts; and the same for each single node. */
export function retentionWorkflowId({
  isDryRun,
  onlyNodeId,
}: Pick<RetentionRequest, 'isDryRun' | 'onlyNodeId'>): string {
  const what = onlyNodeId === undefined ? 'retention' : `retention/node/${onlyNodeId}`;
  return isDryRun ? `${what}/dry-run` : what;
}

/** Update that answers with {@link RetentionAttended} once the run is stored: whose run it is that goes on. */
export const ATTEND_UPDATE = 'attend';

/** Answer of the update. */
export interface RetentionAttended {
  readonly runId: string;
}

/** What is asked for. */
export interface RetentionRequest {
  /** UUID; the same in every attempt of a request. */
  readonly runId: string;
  /** Whether it only counts what would go. */
  readonly isDryRun: boolean;
  /** `null` for the schedule, and for the guard of a node's disk. */
  readonly actorUserId: string | null;
  /** The one node that is looked at, and nothing else; absent: everything. */
  readonly onlyNodeId?: string;
}

/** Durations of a run, milliseconds: part of its input, so that tests give short ones to the real server. */
export interface RetentionTiming {
  /** How long a node, or an API, may take to pick up work before it is left out. */
  readonly pickUpMs: number;
  /** Silence after which whoever works counts as dead. */
  readonly heartbeatMs: number;
  /** Bound of one piece of work: a page of the database, of contexts, or of a node's images. */
  readonly workMs: number;
}

/** Removing a page of images takes Docker seconds each on a slow disk. */
export const DEFAULT_RETENTION_TIMING: RetentionTiming = {
  pickUpMs: 60_000,
  heartbeatMs: 10_000,
  workMs: 10 * 60_000,
};

/** Input of the retention workflow. */
export interface RetentionInput extends RetentionRequest {
  readonly timing: RetentionTiming;
  /** What survives continue-as-new; absent in a first run. */
  readonly carried?: RetentionProgress;
}

/** How far a run has come. Each place is `null` when that part is over. */
export interface RetentionProgress {
  readonly policy: RetentionPolicy;
  readonly database: string | null;
  readonly contexts: string | null;
  /** Nodes up to this one are done. */
  readonly nodes: string | null;
  /** What could not be done, for the end. */
  readonly errors: readonly string[];
}

/** Input of what the schedule starts. */
export interface RetentionDueInput {
  readonly timing: RetentionTiming;
}

/** What is removed, as reports name it. Measured in bytes as it is said there. */
export const RETENTION_KINDS = {
  /** Rows, in the bytes that PostgreSQL has for them; its files do not shrink, the space is used again. */
  revisions: 'revisions',
  builds: 'builds',
  buildLogs: 'build-logs',
  operations: 'operations',
  events: 'events',
  idempotencyKeys: 'idempotency-keys',
  contextRecords: 'context-records',
  /** Files of uploaded contexts, in the bytes of the files. */
  contexts: 'contexts',
  /**
   * Images of a node: by how much less its daemon says that all layers take, at least what only these images had, and at
   * most all that they had.
   */
  images: 'images',
  /** Containers and networks of a node that no record owns; nobody measures them. */
  orphans: 'orphans',
  /** A daemon's build cache, in the bytes that the daemon says it has freed. */
  buildCache: 'build-cache',
} as const;

/** One line of a report. */
export interface RetentionItem {
  /** One of {@link RETENTION_KINDS}, or what a later version adds. */
  readonly kind: string;
  /** Empty for what belongs to no node. */
  readonly nodeId: string;
  /** Empty: it was removed. Else why it stays. */
  readonly reason: string;
  readonly count: number;
  /** `null` where nobody measured it. */
  readonly bytes: number | null;
}

/** What a run's activities have in common. */
export interface RetentionScope {
  readonly runId: string;
  readonly isDryRun: boolean;
  readonly policy: RetentionPolicy;
}

/** Short writes and reads of the control database, run as local activities. Repeatable. */
export interface RetentionStore {
  /** Stores that a run began, and says by which policy. `isOver`: it had ended before, so there is nothing to do. */
  beginRetention(input: RetentionRequest): Promise<{ readonly policy: RetentionPolicy; readonly isOver: boolean }>;
  /** Lists nodes by id, those that cannot be asked with the reason. */
  listRetentionNodes(input: RetentionNodesInput): Promise<RetentionNodesPage>;
  /** Which of these images some revision needs that stays, by image id. */
  findNeededImages(input: FindNeededImagesInput): Promise<readonly string[]>;
  /** Stores what a run found at one place, in place of what was stored for it before. */
  recordRetention(input: RecordRetentionInput): Promise<void>;
  /** Stores that a run ended; with an error, why it did not come to its end. */
  finishRetention(input: { readonly runId: string; readonly error: string }): Promise<void>;
}

/** Input of {@link RetentionStore.listRetentionNodes}. */
export interface RetentionNodesInput {
  readonly afterId: string;
  /** The only node that is asked for; absent: all of them. */
  readonly onlyNodeId?: string;
}

/** Some nodes, and whether there are more. */
export interface RetentionNodesPage {
  readonly nodes: readonly {
    readonly nodeId: string /** Empty when it can be asked. */;
    readonly unreachable: string;
  }[];
  readonly next: string | null;
}

/** An image with everything by which a revision may have it pinned. */
export interface SurveyedImage {
  /** Docker's `sha256:…`. */
  readonly imageId: string;
  /** Digests under which registries have it. */
  readonly digests: readonly string[];
}

/** Input of {@link RetentionStore.findNeededImages}. */
export interface FindNeededImagesInput extends RetentionScope {
  readonly images: readonly SurveyedImage[];
}

/** Input of {@link RetentionStore.recordRetention}. */
export interface RecordRetentionInput {
  readonly runId: string;
  readonly kind: string;
  readonly nodeId: string;
  readonly items: readonly Omit<RetentionItem, 'kind' | 'nodeId'>[];
}

/** The way through the control database, on the control queue. */
export interface RetentionSweeps {
  /**
   * Removes, or counts, one page of what may go, and says where it goes on; `null` at the end. What was removed is
   * stored with its removal, so nothing is counted twice or left out, whatever is killed. Heartbeats.
   */
  sweepDatabase(input: RetentionScope & { readonly place: string }): Promise<{ readonly place: string | null }>;
}

/** On the queue of whoever keeps the files of contexts. */
export interface ContextActivities {
  /** Removes, or counts, files of contexts that no record names any more, a page at a time. Heartbeats. */
  sweepContextFiles(input: RetentionScope & { readonly after: string }): Promise<ContextFilesPage>;
}

/** What became of a page of files. */
export interface ContextFilesPage {
  readonly removed: number;
  readonly bytes: number;
  /** Files that a record names, or that are too young. */
  readonly kept: number;
  /** After which file it goes on; `null` at the end. */
  readonly next: string | null;
}
