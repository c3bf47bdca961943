/** Workflow type of the emptying of a node. */
export const DRAIN_WORKFLOW = 'drainNode';

/** Workflow id of a node's emptying: one at a time. */
export function drainWorkflowId(nodeId: string): string {
  return `drain/${nodeId}`;
}

/** Update that asks for it; answers with {@link DrainAccepted} once the node takes nothing new. The input says all. */
export const DRAIN_UPDATE = 'drain';

/** Signal: nothing further is to be moved; what is under way is finished. No argument. */
export const STOP_DRAIN_SIGNAL = 'stop';

/** Input of the workflow. */
export interface DrainInput {
  readonly nodeId: string;
  /** UUID, derived from the caller and the idempotency key. */
  readonly drainId: string;
  readonly actorUserId: string;
  /** Why, in the words of whoever asks; may be empty. */
  readonly reason: string;
  /** How many deployments are moved at a time. */
  readonly atOnce: number;
  /** Whether what has volumes is moved with them; absent: it stays. */
  readonly withVolumes?: boolean;
  /** What survives continue-as-new; absent in a first run. */
  readonly carried?: { readonly fruitless: number };
}

/** The node takes nothing new, and will be emptied, whatever dies. */
export interface DrainAccepted {
  /** Another one than was asked for, when that one is under way. */
  readonly drainId: string;
}

/** What a drain writes by, run as local activities by the orchestrator. Each is one transaction, and repeatable. */
export interface DrainActivities {
  /**
   * Takes the node out of placement, and records that it is being emptied.
   *
   * @returns whether there is anything to do: not when a repeated request finds it ended.
   * @throws NOT_FOUND: final.
   */
  beginDrain(input: Omit<DrainInput, 'atOnce' | 'carried'>): Promise<{ readonly open: boolean }>;
  /**
   * Lists ids of deployments with replicas on the node which can be moved: of those with volumes only when these go along,
   * and none while no other node takes replicas. At most 200, those that were moved longest ago first.
   */
  listMovable(input: { readonly nodeId: string; readonly withVolumes?: boolean }): Promise<readonly string[]>;
  /** Says to those who watch that something has left, or could not. */
  touchDrain(input: DrainRef): Promise<void>;
  /** Records how it ended: nothing is left that can be moved, or it was stopped. */
  endDrain(input: DrainRef & { readonly state: 'done' | 'stopped' }): Promise<void>;
}

/** Which drain of which node. */
export interface DrainRef {
  readonly nodeId: string;
  readonly drainId: string;
}
