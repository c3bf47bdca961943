/** Workflow types of what is done with stored metrics. */
export const ROLL_UP_WORKFLOW = 'rollUpMetrics';
export const RETAIN_METRICS_WORKFLOW = 'retainMetrics';

/** Ids of the schedules, and of what they start, to which the server adds the time. */
export const ROLL_UP_SCHEDULE = 'roll-up-metrics';
export const RETAIN_METRICS_SCHEDULE = 'retain-metrics';

/** The present hour is at most so old where hours are read. */
export const ROLL_UP_EVERY_MS = 5 * 60_000;

/** Partitions last six hours. */
export const RETAIN_METRICS_EVERY_MS = 60 * 60_000;

/** Durations of one run, milliseconds: part of its input, so that tests give short ones to the real server. */
export interface MetricsUpkeepTiming {
  /** How long one page of work may take. */
  readonly pageMs: number;
  /** Pages of one run at most, of each kind of work; the next run goes on. */
  readonly maxPages: number;
}

/** A page is bounded to a few seconds of work. 1,000 pages of it are 20 million rows moved, or as many hours summed up. */
export const DEFAULT_UPKEEP_TIMING: MetricsUpkeepTiming = { pageMs: 60_000, maxPages: 1_000 };

/** Input of both workflows. */
export interface MetricsUpkeepInput {
  readonly timing: MetricsUpkeepTiming;
}

/** A page of work. */
export interface UpkeepPage {
  /** Rows moved, hours summed up, partitions or rows removed. */
  readonly done: number;
  /** Whether there was more to do than one page does. */
  readonly hasMore: boolean;
}

/** Activities on the metrics database and the one that stands in for it. Each may run twice. */
export interface MetricsUpkeep {
  /** Moves rows that were written to the stand-in while the metrics database was away. */
  moveMetrics(): Promise<UpkeepPage>;
  /** Sums up hours of which rows have come. */
  rollUpMetrics(): Promise<UpkeepPage>;
  /** Makes partitions, and removes what nobody keeps any more. */
  retainMetrics(): Promise<UpkeepPage>;
}
