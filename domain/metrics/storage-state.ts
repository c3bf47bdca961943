import type { MetricsTarget } from './storage-target.ts';

/** What a streamer's storage does, beside the counters that operators know from the original platform. */
export interface StorageState {
  readonly metricsTarget: MetricsTarget;
  /** Rows that wait on the node's disk. */
  readonly spoolRows: number;
  readonly spoolBytes: number;
  /** For how long the oldest of them has waited, seconds; `null` when none does. */
  readonly spoolAgeSeconds: number | null;
  /** Rows given up, since the node's state folder exists: there was no room, or no database took them. */
  readonly rowsDropped: number;
}

/** A storage that has nothing to do. */
export const STORAGE_AT_REST: StorageState = {
  ...{ metricsTarget: 'primary', spoolRows: 0, spoolBytes: 0, spoolAgeSeconds: null, rowsDropped: 0 },
};

/** Reads a storage's state from outside: what is missing or of another type is as at rest. */
export function parseStorageState(value: unknown): StorageState {
  const found = value !== null && typeof value === 'object' ? (value as Readonly<Record<string, unknown>>) : {};
  const count = (name: keyof StorageState): number => (typeof found[name] === 'number' ? found[name] : 0);
  const { metricsTarget, spoolAgeSeconds } = found;
  return {
    metricsTarget: metricsTarget === 'fallback' || metricsTarget === 'spool' ? metricsTarget : 'primary',
    spoolRows: count('spoolRows'),
    spoolBytes: count('spoolBytes'),
    spoolAgeSeconds: typeof spoolAgeSeconds === 'number' ? spoolAgeSeconds : null,
    rowsDropped: count('rowsDropped'),
  };
}
