import { type HealthFacts, judgeHealth } from '../domain/metrics/health.ts';

/** Whether this streamer does its work. */
export interface Health {
  readonly healthy: boolean;
  /** Checks in a row that failed. */
  readonly consecutiveFailures: number;
  /** When it was checked last, milliseconds since 1970; `null` before the first check. */
  readonly checkedAtMs: number | null;
  /** What made the newest check fail, and what else is not as it should be, for people. */
  readonly problems: readonly string[];
  readonly notices: readonly string[];
}

/** Checks from time to time. */
export interface HealthCheck {
  /** Makes one check. One that failed is soon made again, by itself. */
  check(): Promise<void>;
  current(): Health;
  /** Makes no further check by itself. */
  stop(): void;
}

/** How health is checked. */
export interface HealthCheckOptions {
  /** Asks Docker something. @throws when it does not answer. */
  readonly probeDocker: () => Promise<unknown>;
  /** Whether the newest round read at least one container, or there was none to read. */
  readonly isReading: () => boolean;
  /** What else there is to look at; what is left out is as in health. */
  readonly observe?: () => Partial<Omit<HealthFacts, 'isDockerAnswering' | 'isReading'>>;
  /** Failed checks in a row until the streamer counts as unhealthy. */
  readonly failureThreshold: number;
  /**
   * Time after which a failed check is made again, milliseconds: a part of the interval between checks, so that a daemon
   * that dies is known within two of them. Without it only the next check in turn looks again.
   */
  readonly againMs?: number;
  readonly now: () => number;
}

/**
 * Creates the health check of a streamer.
 *
 * A node without containers is healthy. One whose Docker does not answer is not, even while samples go on from the
 * kernel's files; nor is one that has containers and could read none of them, or that ends no round.
 */
export function createHealthCheck(options: HealthCheckOptions): HealthCheck {
  let consecutiveFailures = 0;
  let checkedAtMs: number | null = null;
  let judged: ReturnType<typeof judgeHealth> = { problems: [], notices: [] };
  let again: NodeJS.Timeout | undefined;
  let isStopped = false;
  let checking: Promise<void> | undefined;

  const checkOnce = async (): Promise<void> => {
    const isDockerAnswering = await options.probeDocker().then(
      () => true,
      () => false,
    );
    judged = judgeHealth({ ...options.observe?.(), isDockerAnswering, isReading: options.isReading() });
    consecutiveFailures = judged.problems.length === 0 ? 0 : consecutiveFailures + 1;
    checkedAtMs = options.now();
  };

  const check = (): Promise<void> => {
    clearTimeout(again);
    const startedMs = options.now();
    // A probe that hangs is one check, however often it is asked for.
    checking ??= checkOnce().finally(() => {
      checking = undefined;
      if (isStopped || options.againMs === undefined || consecutiveFailures === 0) return;
      if (consecutiveFailures >= options.failureThreshold) return;
      // Counted from its begin: a daemon that is frozen has cost its time already.
      const pauseMs = Math.max(0, options.againMs - Math.max(0, options.now() - startedMs));
      again = setTimeout(() => void check(), pauseMs).unref();
    });
    return checking;
  };

  return {
    check,
    current: () => ({
      ...{ healthy: consecutiveFailures < options.failureThreshold, consecutiveFailures, checkedAtMs },
      ...judged,
    }),
    stop: () => {
      isStopped = true;
      clearTimeout(again);
    },
  };
}
