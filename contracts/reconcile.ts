import type { Finding, NodeSight, ReconcileFacts } from '../domain/reconcile.ts';

/** Workflow type of one reconciliation of all nodes. */
export const RECONCILE_WORKFLOW = 'reconcile';

/** Id of the schedule, and of what it starts, to which the server adds the time. */
export const RECONCILE_SCHEDULE = 'reconcile';

/** Time between the begins of two reconciliations: what nodes report of themselves is checked at least so often. */
export const RECONCILE_EVERY_MS = 30_000;

/** Durations of a reconciliation, milliseconds: part of its input, so that tests give short ones to the real server. */
export interface ReconcileTiming {
  /** How long a node may take for one look, from the moment it is asked; after that it counts as silent. */
  readonly lookMs: number;
  /** Pause before what looked wrong is looked at again. */
  readonly againMs: number;
}

/** A daemon in health lists its containers within tens of milliseconds; 10 s is its node's own deadline for a call. */
export const DEFAULT_RECONCILE_TIMING: ReconcileTiming = { lookMs: 15_000, againMs: 2_000 };

/** Input of the reconcile workflow. */
export interface ReconcileInput {
  readonly timing: ReconcileTiming;
}

/** What is recorded of a node. */
export type RecordedOnNode = Pick<ReconcileFacts, 'recorded' | 'doomed' | 'reported'>;

/** Nodes that can be asked, a page of them. */
export interface ReconcileNodesPage {
  readonly nodeIds: readonly string[];
  /** After which node the list goes on; `null` at the end. */
  readonly next: string | null;
}

/** What reconciliation reads and writes of the control database: local activities, each of them repeatable. */
export interface ReconcileStore {
  /** Lists nodes after one by id, those left out that are known not to answer. */
  listReconcileNodes(input: { readonly afterId: string }): Promise<ReconcileNodesPage>;
  /** Reads what is recorded of a node. */
  readRecorded(input: { readonly nodeId: string }): Promise<RecordedOnNode>;
  /**
   * Records what was found. Removes nothing but the records of strangers that are gone.
   *
   * @returns ids of deployments that are to be asked to heal.
   */
  recordFindings(input: { readonly nodeId: string; readonly findings: readonly Finding[] }): Promise<readonly string[]>;
  /** Lists ids of deployments that have fewer replicas than are wanted, and of which nobody takes care. At most 100. */
  listShort(): Promise<readonly string[]>;
}

/** Input of {@link LookActivities.lookAtContainers}. */
export interface LookInput {
  /** Full ids of containers that are recorded there, or were reported. */
  readonly expected: readonly string[];
}

/** What a node saw: of this installation, and nothing that was expected and is there. */
export interface NodeLook {
  readonly instance: string;
  readonly sight: NodeSight;
}

/** The activity on a node's own queue. */
export interface LookActivities {
  /**
   * Lists this installation's containers, and asks by full id for expected ones that the list leaves out. Changes
   * nothing. Silent when the daemon is not in health, before or after.
   */
  lookAtContainers(input: LookInput): Promise<NodeLook>;
}
