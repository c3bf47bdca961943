import { isDomainError, RETRYABLE } from '../domain/errors.ts';
import { halve, type RowBatch } from '../domain/metrics/rows.ts';
import type { StorageState } from '../domain/metrics/storage-state.ts';
import type { MetricsStoreName } from '../domain/metrics/storage-target.ts';
import type { Spool, SpooledBatch } from './checkpoint.ts';
import type { AggregatorState } from './minute-aggregator.ts';
import type { Targets } from './targets.ts';

/** How rows are written. */
export interface RowWriterOptions {
  readonly targets: Targets;
  readonly spool: Spool;
  /** Batches in memory at most, where the disk takes none; beyond them the oldest are given up. */
  readonly maxBatches: number;
  /** Tries of a batch that a database refuses, before it is cut in two or given up. */
  readonly maxAttempts: number;
  /** Rows of the past that are written in a second at most, beside those that come. */
  readonly drainRowsPerSecond: number;
  /** Told when rows are given up, with the reason. */
  readonly onLost: (rows: number, reason: unknown) => void;
  /** Told when the disk does not take what is to survive this process. */
  readonly onUnkept: (reason: unknown) => void;
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

/** Writes rows: those that have just come first, and beside them those of the past, oldest first. */
export interface RowWriter {
  /** Takes over batches, and with them what the next process needs to count on: both survive this one. */
  keep(batches: readonly RowBatch[], state?: AggregatorState): void;
  /** Writes until aborted; a write that has begun is finished. */
  run(signal: AbortSignal): Promise<void>;
  /** Returns once what has just come was tried, or when aborted. What could not be written waits for the next process. */
  flush(signal: AbortSignal): Promise<void>;
  counts(): WriterCounts;
  storage(nowMs: number): StorageState;
  /** Lets go of the disk, once `run` has ended. */
  close(): void;
}

/** A batch on its way; without a number it is in memory only. */
interface Item {
  readonly id: number | null;
  readonly batch: RowBatch;
  attempts: number;
}

/** Creates the stage that writes. All that it holds is bounded; writing a row twice is harmless. */
export function createRowWriter(options: RowWriterOptions): RowWriter {
  const { targets, spool } = options;
  const live: Item[] = [];
  const refusals = new Map<number, number>();
  const counts = { batchesWritten: 0, batchesFailed: 0, rowsWritten: 0, rowsLost: 0, retries: 0, retriesWritten: 0 };
  /** Something came, or a database did. */
  const changed = createBell();
  /** An attempt has ended. */
  const attempted = createBell();
  let drainAtMs = 0;
  targets.onSwitch(changed.ring);

  const leave = (item: Item): void => {
    const index = live.indexOf(item);
    if (index >= 0) live.splice(index, 1);
  };
  const lose = (item: Item, reason: unknown): void => {
    leave(item);
    const rows = item.batch.rows.length;
    if (item.id !== null) spool.remove(item.id, { rows });
    counts.rowsLost += rows;
    options.onLost(rows, reason);
  };
  /** One bad row does not take the others with it: the pieces are tried by themselves. */
  const refused = (item: Item, reason: unknown): void => {
    if (item.id !== null) refusals.set(item.id, item.attempts);
    if (item.attempts < options.maxAttempts) return;
    if (item.id !== null) refusals.delete(item.id);
    const pieces = halve(item.batch);
    if (pieces.length < 2 || item.id === null) {
      lose(item, reason);
    } else {
      leave(item);
      spool.replace(item.id, pieces);
    }
  };
  const stored = (item: Item): void => {
    leave(item);
    if (item.id === null) return;
    refusals.delete(item.id);
    spool.remove(item.id);
  };

  /** @returns whether the next one may be tried at once. */
  const write = async (item: Item, name: MetricsStoreName, isRetry: boolean): Promise<boolean> => {
    item.attempts += 1;
    if (isRetry) counts.retries += 1;
    try {
      await targets.store(name).insertRows(item.batch);
      targets.saw(name, true);
      stored(item);
      counts.batchesWritten += 1;
      counts.rowsWritten += item.batch.rows.length;
      if (isRetry) counts.retriesWritten += 1;
      return true;
    } catch (error) {
      counts.batchesFailed += 1;
      const isFinal = isDomainError(error) && !RETRYABLE[error.code];
      targets.saw(name, isFinal);
      if (isFinal) refused(item, error);
      // The disk has it: it takes its turn among those of the past.
      else if (item.id !== null) leave(item);
      return isFinal;
    }
  };

  const isLive = (id: number): boolean => live.some((item) => item.id === id);
  const oldestOfThePast = (): SpooledBatch | undefined => {
    let found = spool.next(0);
    while (found && isLive(found.id)) found = spool.next(found.id);
    return found;
  };

  /** Writes one batch. @returns how long to wait for the next, milliseconds; `undefined` until something changes. */
  const step = async (): Promise<number | undefined> => {
    const name = targets.current();
    if (name === 'spool') {
      for (const item of live.filter(({ id }) => id !== null)) leave(item);
      return undefined;
    }
    const [fresh] = live;
    if (fresh) return (await write(fresh, name, fresh.attempts > 0)) ? 0 : targets.pauseMs(name);
    const past = oldestOfThePast();
    if (!past) return undefined;
    const waitMs = drainAtMs - performance.now();
    if (waitMs > 0) return waitMs;
    drainAtMs = performance.now() + (1_000 * past.batch.rows.length) / options.drainRowsPerSecond;
    const item = { ...past, attempts: refusals.get(past.id) ?? 0 };
    return (await write(item, name, true)) ? 0 : targets.pauseMs(name);
  };

  return {
    keep: (batches, state) => {
      try {
        live.push(...spool.keep(batches, state).map((kept) => ({ ...kept, attempts: 0 })));
      } catch (error) {
        options.onUnkept(error);
        live.push(...batches.map((batch) => ({ id: null, batch, attempts: 0 })));
      }
      // What is on the disk is safe there.
      while (live.length > options.maxBatches && live[0]) {
        if (live[0].id === null) lose(live[0], 'the queue is full');
        else live.shift();
      }
      changed.ring();
    },
    run: async (signal) => {
      const probing = targets.run(signal);
      while (!signal.aborted) {
        const change = changed.next();
        const waitMs = await step();
        attempted.ring();
        if (waitMs !== 0) await first(change, signal, waitMs);
      }
      await probing;
    },
    flush: async (signal) => {
      while (live.length > 0 && !signal.aborted) await first(attempted.next(), signal);
    },
    counts: () => {
      const kept = live.filter(({ id }) => id !== null).length;
      const again = live.filter(({ id, attempts }) => id === null && attempts > 0).length;
      return { ...counts, retryQueue: Math.max(0, spool.size().batches - kept) + again };
    },
    storage: (nowMs) => {
      const { rows, bytes, oldestMs, dropped } = spool.size();
      return {
        metricsTarget: targets.current(),
        ...{ spoolRows: rows, spoolBytes: bytes, rowsDropped: dropped },
        spoolAgeSeconds: oldestMs === null ? null : Math.max(0, (nowMs - oldestMs) / 1_000),
      };
    },
    close: () => spool.close(),
  };
}

/** Wakes whoever waits for the next ring. */
function createBell() {
  let ringing = Promise.withResolvers<void>();
  return {
    next: () => ringing.promise,
    ring: (): void => {
      ringing.resolve();
      ringing = Promise.withResolvers<void>();
    },
  };
}

/** Returns at the first of these: a ring, the abort, the end of a time. */
async function first(ring: Promise<void>, signal: AbortSignal, longestMs?: number): Promise<void> {
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const end = (): void => resolve();
  const timer = longestMs === undefined ? undefined : setTimeout(end, longestMs);
  signal.addEventListener('abort', end, { once: true });
  if (!signal.aborted) await Promise.race([ring, ended]);
  signal.removeEventListener('abort', end);
  clearTimeout(timer);
}
