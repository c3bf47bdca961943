import type { DiskWatch } from '../../activities/node-ports.ts';
import { createWakeUp } from '../../activities/wake-up.ts';
import { type DiskSpace, freePercentOf } from '../../domain/disk-guard.ts';

/** With the way of the news to the database, a disk that fills up closes the node within five seconds. */
const EVERY_MS = 2_000;

/** Measures the disk of this node's Docker daemon while it runs. */
export interface RunningDiskWatch extends DiskWatch {
  /** Measures again and again until aborted. */
  run(signal: AbortSignal): Promise<void>;
}

/** Creates the watch. A measurement that fails says nothing of the disk: what was measured last goes on counting. */
export function createDiskWatch(
  measure: () => Promise<DiskSpace>,
  { minFreePercent }: { readonly minFreePercent: number },
): RunningDiskWatch {
  const listeners = new Set<() => void>();
  let freePercent: number | undefined;

  const look = async (): Promise<void> => {
    const before = freePercent;
    freePercent = await measure().then(freePercentOf, () => before);
    if (freePercent === before) return;
    for (const listener of listeners) listener();
  };

  return {
    minFreePercent,
    freePercent: () => freePercent,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    run: async (signal) => {
      const pause = createWakeUp();
      while (!signal.aborted) {
        await look();
        await pause.wait(EVERY_MS, signal).catch(() => undefined);
      }
    },
  };
}
