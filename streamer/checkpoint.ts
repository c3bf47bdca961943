import type { RowBatch } from '../domain/metrics/rows.ts';
import type { AggregatorState } from './minute-aggregator.ts';

/** Rows that wait in the spool, and the number under which they do. Numbers rise with time. */
export interface SpooledBatch {
  readonly id: number;
  readonly batch: RowBatch;
}

/** How much waits. */
export interface SpoolSize {
  readonly batches: number;
  readonly rows: number;
  readonly bytes: number;
  /** When the oldest batch came, milliseconds since 1970; `null` when none waits. */
  readonly oldestMs: number | null;
  /** Rows given up so far, over all processes. */
  readonly dropped: number;
}

/**
 * What a streamer leaves to the next one on its node: rows that are not known to be stored, and up to where they count.
 *
 * Both are kept together, before the rows are written to a database. So after a crash at any point the next process writes
 * them again, which is harmless, and counts on from the readings that belong to exactly these rows.
 */
export interface Spool {
  /** Where the last process stood; `undefined` when there was none, or nothing that can be used. */
  state(): AggregatorState | undefined;
  /**
   * Keeps batches, and the state that follows them when there is one, all or nothing. What has no room drives out the
   * oldest rows of containers, then the oldest of the rest.
   *
   * @throws what kept the disk from taking them.
   */
  keep(batches: readonly RowBatch[], state?: AggregatorState): readonly SpooledBatch[];
  /** The oldest batch beyond a number; `undefined` when there is none. */
  next(afterId: number): SpooledBatch | undefined;
  /** Forgets a batch that is stored; with `dropped`, one that is given up. */
  remove(id: number, dropped?: { readonly rows: number }): void;
  /** Puts pieces in the place of a batch. */
  replace(id: number, pieces: readonly RowBatch[]): readonly SpooledBatch[];
  size(): SpoolSize;
  close(): void;
}
