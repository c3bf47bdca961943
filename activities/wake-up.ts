/** A pause that something may end early, and that remembers having been rung while nobody waited. */
export interface WakeUp {
  ring(): void;
  /** Returns after `delayMs`, when rung, or at once if rung since the last wait. @throws the reason of the signal */
  wait(delayMs: number, signal: AbortSignal): Promise<void>;
}

/** Creates a wake-up for one waiter. */
export function createWakeUp(): WakeUp {
  let rung = Promise.withResolvers<void>();
  return {
    ring: () => rung.resolve(),
    wait: async (delayMs, signal) => {
      signal.throwIfAborted();
      const aborted = Promise.withResolvers<never>();
      const onAbort = (): void => aborted.reject(signal.reason);
      const timer = setTimeout(() => rung.resolve(), delayMs);
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        await Promise.race([rung.promise, aborted.promise]);
        rung = Promise.withResolvers<void>();
      } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      }
    },
  };
}
