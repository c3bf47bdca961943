import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../../adapters/logging/log.ts';

/** Pause before a Temporal server that was away is asked for a schedule again. */
const RETRY_MS = 10_000;

/** Makes a schedule in the background, trying until it is there or the signal aborts: nothing waits for it. */
export async function keepTrying(
  work: () => Promise<void>,
  { what, log, signal }: { readonly what: string; readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    try {
      await work();
      return;
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error }, `${what} cannot be made yet`);
      await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}
