import type { MinuteRow } from '../domain/metrics/minutes.ts';
import type { AggregatorState } from './minute-aggregator.ts';

/**
 * What a streamer leaves to the next one on its node.
 *
 * It is kept before the rows in it are written to the database. So after a crash at any point the next process writes
 * them again, which is harmless, and counts on from the readings that belong to exactly these rows.
 */
export interface Checkpoint {
  readonly state: AggregatorState;
  /** Rows not known to be written. */
  readonly pending: readonly MinuteRow[];
}

/** Where the checkpoint is kept. */
export interface CheckpointStore {
  /** `undefined` when there is none, or none that can be used. */
  load(): Promise<Checkpoint | undefined>;
  save(checkpoint: Checkpoint): Promise<void>;
}

/** Rows in a checkpoint at most, the newest: 20,000 are about 6 MB, or 100 containers for three hours. */
export const MAX_PENDING_ROWS = 20_000;
