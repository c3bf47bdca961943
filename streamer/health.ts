/** Whether this streamer does its work. */
export interface Health {
  readonly healthy: boolean;
  /** Checks in a row that failed. */
  readonly consecutiveFailures: number;
  /** When it was checked last, milliseconds since 1970; `null` before the first check. */
  readonly checkedAtMs: number | null;
}

/** Checks from time to time. */
export interface HealthCheck {
  /** Makes one check. */
  check(): Promise<void>;
  current(): Health;
}

/**
 * Creates the health check of a streamer.
 *
 * A node without containers is healthy. One whose Docker does not answer is not, even while samples go on from the
 * kernel's files; nor is one that has containers and could read none of them.
 */
export function createHealthCheck(options: {
  /** Asks Docker something. @throws when it does not answer. */
  readonly probeDocker: () => Promise<unknown>;
  /** Whether the newest round read at least one container, or there was none to read. */
  readonly isReading: () => boolean;
  /** Failed checks in a row until the streamer counts as unhealthy. */
  readonly failureThreshold: number;
  readonly now: () => number;
}): HealthCheck {
  let consecutiveFailures = 0;
  let checkedAtMs: number | null = null;
  return {
    check: async () => {
      const answered = await options.probeDocker().then(
        () => true,
        () => false,
      );
      consecutiveFailures = answered && options.isReading() ? 0 : consecutiveFailures + 1;
      checkedAtMs = options.now();
    },
    current: () => ({ healthy: consecutiveFailures < options.failureThreshold, consecutiveFailures, checkedAtMs }),
  };
}
