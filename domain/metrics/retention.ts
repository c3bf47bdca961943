import { invalidArgument } from '../errors.ts';

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

/** The periods that an organization has of its own, hours by kind; of a kind that is left out it has none. */
export type OwnHours = Readonly<Partial<Record<MetricsPeriodKind, number>>>;

/** The platform's periods, milliseconds. */
export interface PlatformPeriods {
  readonly minutesMs: number;
  readonly hoursMs: number;
}

const HOUR_MS = 3_600_000;

/** Hours that a period may have: late rows are taken for 50 days, and what is kept is told for 10 years. */
const MAX_HOURS: Readonly<Record<MetricsPeriodKind, number>> = { metrics_minutes: 720, metrics_hours: 87_600 };

const FIELD: Readonly<Record<MetricsPeriodKind, string>> = { metrics_minutes: 'minutes', metrics_hours: 'hours' };

/** Reads a period as hours. @throws INVALID_ARGUMENT with the field `minutes` or `hours`. */
export function toKeepHours(kind: MetricsPeriodKind, ms: number): number {
  const [hours, max] = [ms / HOUR_MS, MAX_HOURS[kind]];
  if (Number.isInteger(hours) && hours >= 1 && hours <= max) return hours;
  const found = Number.isInteger(hours) ? `${hours} hours` : `${ms / 1000} seconds`;
  throw invalidArgument(FIELD[kind], `found ${found}`, `whole hours from 1 to ${max}`);
}

/** The periods that are in force, milliseconds. */
export function periodsInForce(own: OwnHours, platform: PlatformPeriods): PlatformPeriods {
  const inMs = (hours: number | undefined): number | undefined => hours && hours * HOUR_MS;
  return {
    minutesMs: inMs(own.metrics_minutes) ?? platform.minutesMs,
    hoursMs: inMs(own.metrics_hours) ?? platform.hoursMs,
  };
}

/**
 * Refuses hours that go before the minutes that they are the sums of: a minute is removed only from an hour that is summed up.
 *
 * @throws INVALID_ARGUMENT
 */
export function assertMinutesGoFirst(own: OwnHours, platform: PlatformPeriods): void {
  const { minutesMs, hoursMs } = periodsInForce(own, platform);
  if (minutesMs <= hoursMs) return;
  const inHours = (ms: number): string => `${ms / HOUR_MS} hours`;
  throw invalidArgument(
    own.metrics_hours === undefined ? FIELD.metrics_minutes : FIELD.metrics_hours,
    `minutes would be kept for ${inHours(minutesMs)} and hours for ${inHours(hoursMs)}`,
    'hours that are kept for as long as minutes, or longer',
  );
}
