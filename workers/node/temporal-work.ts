import { createWakeUp } from '../../activities/wake-up.ts';
import type { Log } from '../../adapters/logging/log.ts';
import type { TemporalAddress } from '../../adapters/temporal/client.ts';
import { connectWorkers, type RunningWorker, startWorker, type WorkerOptions } from '../../adapters/temporal/worker.ts';

const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5_000;

/** Workers that are kept alive. */
export interface TemporalWork {
  /** Resolves once everything ended. */
  readonly ended: Promise<void>;
  /** Resolves when the workers poll for the first time. */
  readonly polling: Promise<void>;
}

/** When workers poll. */
export interface WorkingTime {
  readonly signal: AbortSignal;
  /** Waits until they may; answers with what is aborted when they may no more. Absent: they always may. */
  readonly tenure?: (signal: AbortSignal) => Promise<AbortSignal>;
  readonly log: Log;
}

/**
 * Keeps workers polling until aborted, and then drains them. A server that is away, or a worker that dies, is tried
 * again after a growing pause: a node outlives its control plane.
 */
export function keepWorking(
  to: TemporalAddress,
  queues: readonly WorkerOptions[],
  { signal, tenure = async (whole) => whole, log }: WorkingTime,
): TemporalWork {
  const first = Promise.withResolvers<void>();
  const run = async (): Promise<void> => {
    const pause = createWakeUp();
    for (let retryMs = FIRST_RETRY_MS; !signal.aborted; retryMs = Math.min(2 * retryMs, LONGEST_RETRY_MS)) {
      try {
        const end = AbortSignal.any([signal, await tenure(signal)]);
        await workOnce(to, queues, end, () => {
          first.resolve();
          retryMs = FIRST_RETRY_MS;
        });
      } catch (error) {
        if (!signal.aborted) log.warn({ err: error }, 'cannot work for temporal');
      }
      await pause.wait(retryMs, signal).catch(() => undefined);
    }
  };
  return { ended: run(), polling: first.promise };
}

/** Works until aborted or until one of the workers dies; leaves nothing behind either way. */
async function workOnce(
  to: TemporalAddress,
  queues: readonly WorkerOptions[],
  signal: AbortSignal,
  onPolling: () => void,
): Promise<void> {
  const connection = await connectWorkers(to);
  const workers: RunningWorker[] = [];
  try {
    for (const queue of queues) workers.push(await startWorker(connection, to, queue));
    for (const worker of workers) worker.ended.catch(() => undefined);
    onPolling();
    await Promise.race([aborted(signal), ...workers.map((worker) => worker.ended)]);
  } finally {
    await Promise.allSettled(workers.map((worker) => worker.stop()));
    await connection.close();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise;
}
