/** When a condition begins to hold, and when it has ended. Between the two thresholds things stay as they are. */
export interface Condition {
  /** `above`: it holds from `fireAt` upwards and has ended below `clearAt`; `below`: the other way round. */
  readonly direction: 'above' | 'below';
  readonly fireAt: number;
  readonly clearAt: number;
  /** How long it must hold without a break until the alert fires, milliseconds. */
  readonly forMs: number;
  /** How long it must have ended without a break until the alert resolves, milliseconds. */
  readonly clearForMs: number;
}

/** What is known of a subject now. Nothing is never taken for a value, neither a good nor a bad one. */
export type Reading = { readonly kind: 'value'; readonly value: number } | { readonly kind: 'no-data' };

/** Nothing is known. */
export const NO_DATA: Reading = { kind: 'no-data' };

/** A value that was read. */
export function readValue(value: number): Reading {
  return { kind: 'value', value };
}

/** Where an alert of one rule and one subject stands. Times are milliseconds since 1970. */
export type AlertState =
  | { readonly kind: 'inactive' }
  | { readonly kind: 'pending'; readonly sinceMs: number; readonly value: number }
  | {
      readonly kind: 'firing';
      /** When the condition began to hold. */
      readonly sinceMs: number;
      readonly firedMs: number;
      /** The newest value that was read. */
      readonly value: number;
      /** Since when the condition has ended, without a break; `null` while it holds. */
      readonly clearSinceMs: number | null;
      /** Since when nothing is known; `null` while something is. */
      readonly noDataSinceMs: number | null;
    };

/** The state of everything that nothing is wrong with. */
export const INACTIVE: AlertState = { kind: 'inactive' };

/** A state, and what somebody may have to be told. */
export interface AlertStep {
  readonly state: AlertState;
  readonly event: 'fired' | 'resolved' | null;
}

/**
 * Carries one alert on by one reading, and nothing else: the caller gives the time, and stores the answer.
 *
 * An alert fires once and stays one alert until it resolves, however often it is carried on. Without data a firing alert
 * goes on firing and says that nothing is known, and the time that clears it begins anew; a pending one is dropped,
 * since nobody knows that the condition held without a break. A clock that jumps back only makes it wait.
 */
export function nextAlert(state: AlertState, condition: Condition, reading: Reading, nowMs: number): AlertStep {
  if (reading.kind === 'no-data') return { state: withoutData(state, nowMs), event: null };
  const { value } = reading;
  if (state.kind === 'firing') return whileFiring(state, condition, value, nowMs);
  if (!holds(condition, value)) return { state: INACTIVE, event: null };
  const sinceMs = state.kind === 'pending' ? state.sinceMs : nowMs;
  if (nowMs - sinceMs < condition.forMs) return { state: { kind: 'pending', sinceMs, value }, event: null };
  const fired = { sinceMs, firedMs: nowMs, value, clearSinceMs: null, noDataSinceMs: null };
  return { state: { kind: 'firing', ...fired }, event: 'fired' };
}

type Firing = Extract<AlertState, { kind: 'firing' }>;

function whileFiring(state: Firing, condition: Condition, value: number, nowMs: number): AlertStep {
  const going: Firing = { ...state, value, noDataSinceMs: null };
  // Between the thresholds it has not ended, so the time that clears it begins anew.
  if (!hasEnded(condition, value)) return { state: { ...going, clearSinceMs: null }, event: null };
  const clearSinceMs = state.clearSinceMs ?? nowMs;
  if (nowMs - clearSinceMs < condition.clearForMs) return { state: { ...going, clearSinceMs }, event: null };
  return { state: INACTIVE, event: 'resolved' };
}

function withoutData(state: AlertState, nowMs: number): AlertState {
  if (state.kind !== 'firing') return INACTIVE;
  return { ...state, clearSinceMs: null, noDataSinceMs: state.noDataSinceMs ?? nowMs };
}

/** Whether a value is bad enough to fire. */
export function holds({ direction, fireAt }: Condition, value: number): boolean {
  return direction === 'above' ? value >= fireAt : value <= fireAt;
}

/** Whether a value is good enough to resolve. Never true of one that holds. */
function hasEnded(condition: Condition, value: number): boolean {
  const { direction, clearAt } = condition;
  return !holds(condition, value) && (direction === 'above' ? value < clearAt : value > clearAt);
}
