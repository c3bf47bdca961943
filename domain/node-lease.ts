import { DomainError } from './errors.ts';

/**
 * The lease of a node, as its process sees it. Pure: times are the caller's, of a clock that never goes back.
 *
 * A node's process may change something only while it surely holds the lease: the database cannot have counted it as
 * expired yet. So its own end is counted from when the renewal was *sent*, which is before the database began to count,
 * and earlier by a margin, for what is under way then.
 */

/** How long a lease holds, how often it is renewed, and how long before its end nothing new is changed; milliseconds. */
export const LEASE_TIMING = { ttlMs: 15_000, renewEveryMs: 3_000, marginMs: 5_000 } as const;

/** What a process knows of its lease. */
export interface LeaseState {
  /** Counts who had the lease: each process that takes it anew has a higher one. 0 before the first. */
  readonly epoch: number;
  /** Whether the epoch has ended: it was refused, so that no answer under way can bring it back. */
  readonly isOver: boolean;
  /** Until when changes are allowed, by the process's clock. */
  readonly safeUntilMs: number;
}

/** What happens to a lease. */
export type LeaseEvent =
  | {
      readonly kind: 'granted';
      readonly epoch: number;
      /** When the request was sent, by the process's clock. */
      readonly sentAtMs: number;
      /** How long the lease holds from when it was granted. */
      readonly leaseMs: number;
    }
  | { readonly kind: 'refused' };

/** A process that has not taken the lease yet. */
export const NO_LEASE: LeaseState = { epoch: 0, isOver: false, safeUntilMs: Number.NEGATIVE_INFINITY };

/** Takes an event over. Answers may arrive in any order: none makes a lease end sooner, or brings an ended one back. */
export function nextLease(state: LeaseState, event: LeaseEvent): LeaseState {
  if (event.kind === 'refused') return { ...state, isOver: true, safeUntilMs: Number.NEGATIVE_INFINITY };
  const { epoch } = event;
  if (epoch < state.epoch || (epoch === state.epoch && state.isOver)) return state;
  const safeUntilMs = event.sentAtMs + event.leaseMs - LEASE_TIMING.marginMs;
  if (epoch > state.epoch) return { epoch, isOver: false, safeUntilMs };
  return { ...state, safeUntilMs: Math.max(state.safeUntilMs, safeUntilMs) };
}

/** Whether the process may change something at this moment. */
export function mayChange({ safeUntilMs }: LeaseState, nowMs: number): boolean {
  return nowMs < safeUntilMs;
}

/** Refuses a process that does not have its node's lease. @param node the node in words: "this node". */
export function leaseLost(node: string): DomainError {
  return new DomainError('NODE_LEASE_LOST', `refused: this process does not have the lease of ${node}`, {
    hint: 'Wait until it has taken the lease anew; if another process runs as this node, stop one of the two.',
  });
}

/** Refuses a process that wants the lease of another one. */
export function leaseTaken(nodeId: string, leftMs: number): DomainError {
  const left = `${Math.max(1, Math.ceil(leftMs / 1000))} s`;
  const what = `another process has its lease for ${left} more, unless it renews it`;
  return new DomainError('NODE_LEASE_LOST', `cannot enrol node ${nodeId}: ${what}`, {
    hint: 'Wait; if this goes on, the identity of this node was copied: join this host with a token of its own.',
  });
}
