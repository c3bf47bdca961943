import type { RetentionPolicy } from './policy.ts';

/** How old a piece of a deployment's history is. */
export interface HistoryAge {
  /** How many newer pieces of the same kind the deployment has. */
  readonly newer: number;
  /** Since it happened; of an operation, since it ended. Milliseconds. */
  readonly ageMs: number;
}

/**
 * Whether a piece of history is within the bounds of time and number, and so are all that are newer.
 *
 * @param most how many of its kind stay within the time.
 */
export function isWithinBounds({ newer, ageMs }: HistoryAge, most: number, policy: RetentionPolicy): boolean {
  if (ageMs > policy.historyMs) return false;
  return newer < most || ageMs <= policy.historyFloorMs;
}

/** An operation, as far as it matters for how long it stays. */
export interface OperationAge extends HistoryAge {
  readonly isOpen: boolean;
  /** Whether a revision that stays was made by it: that it succeeded is what tells that the revision works. */
  readonly madeKeptRevision: boolean;
}

/**
 * Whether an operation may be forgotten.
 *
 * Never one that is not over. Of a deployment that exists never the newest, from which its status follows, and none
 * that made a revision which stays. Of a deleted one all go in time.
 */
export function mayForgetOperation(
  operation: OperationAge,
  deployment: { readonly exists: boolean },
  policy: RetentionPolicy,
): boolean {
  if (operation.isOpen) return false;
  if (deployment.exists && (operation.newer === 0 || operation.madeKeptRevision)) return false;
  return !isWithinBounds(operation, policy.operations, policy);
}

/** Whether an event may be forgotten; never one of an operation that is not over. */
export function mayForgetEvent(
  event: HistoryAge & { readonly isOfOpenOperation: boolean },
  policy: RetentionPolicy,
): boolean {
  return !event.isOfOpenOperation && !isWithinBounds(event, policy.events, policy);
}
