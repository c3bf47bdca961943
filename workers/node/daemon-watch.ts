import type { DaemonState, DaemonWatch } from '../../activities/node-ports.ts';
import { createWakeUp } from '../../activities/wake-up.ts';
import type { DaemonHealth } from '../../adapters/docker/health.ts';

/** A daemon that refuses is noticed after this at the latest. */
const EVERY_MS = 3_000;

/** After a silent look the next one comes sooner: with both, of 5 s each, one that hangs is noticed within 14 s. */
const AGAIN_MS = 1_000;

/** Watches the daemon while it runs, and remembers how it was last. */
export interface RunningDaemonWatch extends DaemonWatch {
  /** Looks again and again until aborted. */
  run(signal: AbortSignal): Promise<void>;
  /** Looks again as soon as the look that is under way has ended: what it needs may be reached again. */
  lookAgain(): void;
  /** Tells those who wait for a change that this process ends. */
  close(): void;
}

/**
 * Creates the watch. A daemon that cannot be reached is degraded at once; one that does not answer in time is only at
 * the second look in a row, since a busy host may be slow once.
 */
export function createDaemonWatch(checkHealth: () => Promise<DaemonHealth>): RunningDaemonWatch {
  const listeners = new Set<() => void>();
  let state: DaemonState = { state: 'ready', reason: '' };
  let closing = false;
  let silences = 0;
  const pause = createWakeUp();
  const tell = (): void => {
    for (const listener of listeners) listener();
  };

  const look = async (): Promise<void> => {
    const health = await checkHealth();
    silences = health.kind === 'unanswered' ? silences + 1 : 0;
    if (silences === 1) return;
    const next: DaemonState =
      health.kind === 'healthy' ? { state: 'ready', reason: '' } : { state: 'degraded', reason: health.reason };
    const changed = next.state !== state.state;
    state = next;
    if (changed) tell();
  };

  return {
    current: () => state,
    isClosing: () => closing,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    run: async (signal) => {
      while (!signal.aborted) {
        await look();
        await pause.wait(silences === 1 ? AGAIN_MS : EVERY_MS, signal).catch(() => undefined);
      }
    },
    lookAgain: pause.ring,
    close: () => {
      closing = true;
      tell();
    },
  };
}
