import { setTimeout as delay } from 'node:timers/promises';
import { isDomainError, RETRYABLE } from '../domain/errors.ts';
import type { MinuteRow } from '../domain/metrics/minutes.ts';
import type { RowStore } from './ports.ts';

/** How rows are written. */
export interface RowWriterOptions {
  readonly store: RowStore;
  /** Rows in one statement. */
  readonly batchRows: number;
  /** Batches that wait at most; beyond them the oldest are given up. */
  readonly maxBatches: number;
  /** Tries of a batch that the database refuses. One that it cannot take now is tried until it can. */
  readonly maxAttempts: number;
  /** First pause after a failure, milliseconds; it doubles with each. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** 0 to 1: spreads the retries of many nodes after an outage that all of them saw. */
  readonly random: () => number;
  /** Told when rows are given up, with the reason. */
  readonly onLost: (rows: number, reason: unknown) => void;
}

/** What the writer has done so far. */
export interface WriterCounts {
  readonly batchesWritten: number;
  /** Attempts that failed. */
  readonly batchesFailed: number;
  readonly rowsWritten: number;
  /** Rows given up. */
  readonly rowsLost: number;
  /** Batches that wait for another try. */
  readonly retryQueue: number;
  readonly retries: number;
  readonly retriesWritten: number;
}

/** Writes rows, oldest first. */
export interface RowWriter {
  enqueue(rows: readonly MinuteRow[]): void;
  /** Rows that are not known to be written. */
  pending(): readonly MinuteRow[];
  /** Writes until aborted; a write that has begun is finished. */
  run(signal: AbortSignal): Promise<void>;
  /** Returns once nothing is pending, or when aborted. */
  flush(signal: AbortSignal): Promise<void>;
  counts(): WriterCounts;
}

interface Batch {
  readonly rows: readonly MinuteRow[];
  attempts: number;
}

/** Creates the stage that writes. Its queue is bounded; writing a row twice is harmless. */
export function createRowWriter(options: RowWriterOptions): RowWriter {
  const queue: Batch[] = [];
  const counts = { batchesWritten: 0, batchesFailed: 0, rowsWritten: 0, rowsLost: 0, retries: 0, retriesWritten: 0 };
  let changed = Promise.withResolvers<void>();

  const announce = (): void => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  const untilChanged = async (signal: AbortSignal): Promise<void> => {
    const onAbort = (): void => announce();
    signal.addEventListener('abort', onAbort, { once: true });
    await changed.promise;
    signal.removeEventListener('abort', onAbort);
  };
  const remove = (batch: Batch): boolean => {
    const index = queue.indexOf(batch);
    if (index >= 0) queue.splice(index, 1);
    return index >= 0;
  };
  const lose = (batch: Batch, reason: unknown): void => {
    if (!remove(batch)) return;
    counts.rowsLost += batch.rows.length;
    options.onLost(batch.rows.length, reason);
  };

  const write = async (batch: Batch): Promise<boolean> => {
    const isRetry = batch.attempts > 0;
    batch.attempts += 1;
    if (isRetry) counts.retries += 1;
    try {
      await options.store.insertRows({ kind: 'container', rows: batch.rows });
      remove(batch);
      counts.batchesWritten += 1;
      counts.rowsWritten += batch.rows.length;
      if (isRetry) counts.retriesWritten += 1;
      return true;
    } catch (error) {
      counts.batchesFailed += 1;
      const mayLater = isDomainError(error) && RETRYABLE[error.code];
      if (!mayLater && batch.attempts >= options.maxAttempts) lose(batch, error);
      return false;
    }
  };

  return {
    enqueue: (rows) => {
      for (let start = 0; start < rows.length; start += options.batchRows) {
        queue.push({ rows: rows.slice(start, start + options.batchRows), attempts: 0 });
      }
      while (queue.length > options.maxBatches && queue[0]) lose(queue[0], 'the queue is full');
      announce();
    },
    pending: () => queue.flatMap((batch) => batch.rows),
    run: async (signal) => {
      let pauseMs = options.firstPauseMs;
      while (!signal.aborted) {
        const [oldest] = queue;
        if (!oldest) {
          await untilChanged(signal);
        } else if (await write(oldest)) {
          pauseMs = options.firstPauseMs;
          announce();
        } else {
          announce();
          await delay(pauseMs * (0.5 + options.random() / 2), undefined, { signal }).catch(() => undefined);
          pauseMs = Math.min(2 * pauseMs, options.longestPauseMs);
        }
      }
    },
    flush: async (signal) => {
      while (queue.length > 0 && !signal.aborted) await untilChanged(signal);
    },
    counts: () => ({ ...counts, retryQueue: queue[0] && queue[0].attempts > 0 ? queue.length : 0 }),
  };
}
