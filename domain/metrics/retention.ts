/** What of metrics is kept for how long: rows by the minute, and sums by the hour. */
export type MetricsPeriodKind = 'metrics_minutes' | 'metrics_hours';

export const METRICS_PERIOD_KINDS: readonly MetricsPeriodKind[] = ['metrics_minutes', 'metrics_hours'];

/** An organization's own period. */
export interface OwnPeriod {
  readonly kind: MetricsPeriodKind;
  readonly keepHours: number;
  /** The deployments that it is for, those that are gone included. */
  readonly deploymentIds: readonly string[];
}
