/** Something to wait for that others announce. */
export interface WakeUp {
  /** Wakes who waits; when nobody does, the next wait returns at once. */
  wake(): void;
  /** Waits for a wake, at most so long, or for the abort of the signal. Says whether it was woken. */
  wait(patienceMs: number, signal: AbortSignal): Promise<boolean>;
}

/** Creates a latch for one waiter. Wakes that come between two waits are kept as one. */
export function createWakeUp(): WakeUp {
  let isPending = false;
  let waiter: ((woken: boolean) => void) | undefined;
  return {
    wake: () => {
      isPending = true;
      waiter?.(true);
    },
    wait: (patienceMs, signal) =>
      new Promise((resolve) => {
        const finish = (woken: boolean): void => {
          clearTimeout(timer);
          signal.removeEventListener('abort', leave);
          waiter = undefined;
          if (woken) isPending = false;
          resolve(woken);
        };
        const leave = (): void => finish(false);
        const timer = setTimeout(leave, patienceMs);
        signal.addEventListener('abort', leave, { once: true });
        waiter = finish;
        if (isPending) finish(true);
        else if (signal.aborted) leave();
      }),
  };
}
