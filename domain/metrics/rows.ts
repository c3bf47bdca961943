import type { MinuteRow } from './minutes.ts';
import type { NodeMinuteRow } from './node-minutes.ts';

/** What requests to a deployment did in a minute, as the ingress of one node saw them. */
export interface RequestMinuteRow {
  readonly deploymentId: string;
  readonly nodeId: string;
  /** Start of the minute, milliseconds since 1970. */
  readonly minuteMs: number;
  readonly requests: number;
  readonly status1xx: number;
  readonly status2xx: number;
  readonly status3xx: number;
  readonly status4xx: number;
  readonly status5xx: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** How many took at most as long as each bound of the histogram; the last one has no bound. */
  readonly latencyBuckets: readonly number[];
  readonly latencySumMicros: number;
}

/** Rows of one kind, written together. */
export type RowBatch =
  | { readonly kind: 'container'; readonly rows: readonly MinuteRow[] }
  | { readonly kind: 'node'; readonly rows: readonly NodeMinuteRow[] }
  | { readonly kind: 'request'; readonly rows: readonly RequestMinuteRow[] };

/** A kind of rows. */
export type RowKind = RowBatch['kind'];

/** Cuts rows into batches of at most `batchRows`. */
export function toBatches(batch: RowBatch, batchRows: number): readonly RowBatch[] {
  const batches: RowBatch[] = [];
  for (let start = 0; start < batch.rows.length; start += batchRows) {
    batches.push({ ...batch, rows: batch.rows.slice(start, start + batchRows) } as RowBatch);
  }
  return batches;
}

/** The two halves of a batch; a batch of one row is its only piece. */
export function halve(batch: RowBatch): readonly RowBatch[] {
  return toBatches(batch, Math.max(1, Math.ceil(batch.rows.length / 2)));
}
