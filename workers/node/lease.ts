import { uptime } from 'node:os';
import { leaseLost, mayChange, NO_LEASE, nextLease } from '../../domain/node-lease.ts';

/** The lease of this node, as this process has it. */
export interface NodeLease {
  /** Milliseconds by a clock that nobody sets and that goes on while the host sleeps. */
  now(): number;
  /** Under which epoch this process has or had the lease; 0 before it first had it. */
  epoch(): number;
  /** Whether this process may change something at this moment. */
  isHeld(): boolean;
  /** @throws NODE_LEASE_LOST (retryable) unless this process may change something at this moment. */
  require(): void;
  /** Takes over that the lease was taken or renewed. */
  granted(grant: { readonly epoch: number; readonly sentAtMs: number; readonly leaseMs: number }): void;
  /** Takes over that the lease has ended; it may be taken anew at once, and then work goes on where it was. */
  ended(): void;
  /** Takes over that the lease is another's, or was given back. */
  refused(): void;
  /** Calls back whenever {@link NodeLease.isHeld} has become another; answers with how to stop that. */
  onChange(listener: () => void): () => void;
  /**
   * Waits until this process has the lease.
   *
   * @returns what is aborted once the lease is another's. One that is not renewed, or has ended, may still be had again.
   * @throws the reason of the signal
   */
  tenure(signal: AbortSignal): Promise<AbortSignal>;
}

/** The clock of the host, which goes on while it sleeps, goes in steps of this. */
const CLOCK_STEP_MS = 10;

/** Creates the lease of a process that has not taken it yet. */
export function createNodeLease(now: () => number = () => uptime() * 1000): NodeLease {
  const listeners = new Set<() => void>();
  let state = NO_LEASE;
  let begun = Promise.withResolvers<AbortSignal>();
  let tenure: AbortController | undefined;
  let lapse: NodeJS.Timeout | undefined;
  let wasHeld = false;
  const isHeld = (): boolean => mayChange(state, now());
  /** A lease is renewed every few seconds, which is no change. */
  const tell = (): void => {
    if (isHeld() === wasHeld) return;
    wasHeld = !wasHeld;
    for (const listener of listeners) listener();
  };
  const ended = (): void => {
    state = nextLease(state, { kind: 'refused' });
    tell();
  };
  /** Timers and the clock are not of one mind to the millisecond: what is early looks again. */
  const watchLapse = (): void => {
    clearTimeout(lapse);
    if (!isHeld()) return;
    const look = (): void => (isHeld() ? watchLapse() : tell());
    lapse = setTimeout(look, Math.ceil(state.safeUntilMs - now()) + CLOCK_STEP_MS).unref();
  };

  return {
    now,
    epoch: () => state.epoch,
    isHeld,
    require: () => {
      if (!isHeld()) throw leaseLost('this node');
    },
    granted: (grant) => {
      state = nextLease(state, { kind: 'granted', ...grant });
      watchLapse();
      if (!tenure && !state.isOver) {
        tenure = new AbortController();
        begun.resolve(tenure.signal);
      }
      tell();
    },
    ended,
    refused: () => {
      ended();
      if (tenure) begun = Promise.withResolvers();
      tenure?.abort(leaseLost('this node'));
      tenure = undefined;
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    tenure: async (signal) => {
      signal.throwIfAborted();
      const aborted = Promise.withResolvers<never>();
      const onAbort = (): void => aborted.reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        return await Promise.race([begun.promise, aborted.promise]);
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    },
  };
}
