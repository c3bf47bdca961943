import type { Move } from '../domain/move.ts';

/** Workflow type of a rebalance. */
export const REBALANCE_WORKFLOW = 'rebalance';

/** Workflow id of a rebalance: one at a time. */
export const REBALANCE_WORKFLOW_ID = 'rebalance';

/** Update that asks for it; answers with {@link RebalanceAccepted}. The input says all. */
export const REBALANCE_UPDATE = 'rebalance';

/** Signal: nothing further is to be moved; what is under way is finished. No argument. */
export const STOP_REBALANCE_SIGNAL = 'stop';

/** Input of the workflow. */
export interface RebalanceInput {
  /** UUID. */
  readonly rebalanceId: string;
  readonly actorUserId: string;
  /** At most 200, each after those before it. */
  readonly moves: readonly { readonly deploymentId: string; readonly move: Move }[];
  /** What survives continue-as-new; absent in a first run. */
  readonly carried?: { readonly operationIds: readonly string[] };
}

/** The rebalance is recorded and will be carried out, whatever dies. */
export interface RebalanceAccepted {
  /** Another one than was asked for, when that one is under way. */
  readonly rebalanceId: string;
}

/** What a rebalance writes by, run as local activities by the orchestrator. Each is one transaction, and repeatable. */
export interface RebalanceActivities {
  /** Records that it has begun. One that a dead workflow left open is recorded as stopped. */
  beginRebalance(input: {
    readonly rebalanceId: string;
    readonly actorUserId: string;
    readonly planned: number;
  }): Promise<void>;
  /** Records how many moves have ended, however they did. */
  recordEnded(input: { readonly rebalanceId: string; readonly ended: number }): Promise<void>;
  /** Records how it ended, and how many of these operations have moved what they were to. */
  endRebalance(input: {
    readonly rebalanceId: string;
    readonly state: 'done' | 'stopped';
    readonly operationIds: readonly string[];
  }): Promise<void>;
}
