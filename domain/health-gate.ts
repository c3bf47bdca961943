import type { ObservedContainer } from './container.ts';
import type { HealthCheck } from './spec.ts';

/**
 * What one look at a replica found: `pending` when there is no answer yet, `final` when somebody else (Docker's own
 * health check) has counted the failures already, `unreachable` when the application answers and its published port does
 * not: requests get lost though nothing is wrong with it.
 */
export type ProbeOutcome =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'unreachable'; readonly reason: string }
  | { readonly kind: 'pending' }
  | { readonly kind: 'final'; readonly reason: string };

/** Where the gate of a starting replica stands. Times in milliseconds of one monotonic clock. */
export interface Gate {
  readonly openedAtMs: number;
  /** Failures in a row that count. */
  readonly failures: number;
  /** When a failure last counted; `null` before the first. */
  readonly countedAtMs: number | null;
}

/** What follows from a look: wait and look again after `delayMs`, or the verdict. */
export type GateVerdict =
  | { readonly kind: 'wait'; readonly gate: Gate; readonly delayMs: number }
  | { readonly kind: 'healthy' }
  | { readonly kind: 'unhealthy'; readonly reason: string };

/** Soonest next look at a starting replica: most web servers listen within a few of these. */
export const FIRST_DELAY_MS = 50;

/** Longest that a replica without port or command must keep running to count as healthy. */
export const LONGEST_SETTLE_MS = 2_000;

/** Restarts after which a starting replica is given up: Docker's growing pauses make five of them last 3 s. */
export const MOST_RESTARTS = 5;

/**
 * Looks in a row that must find a running replica unreachable before it counts as unhealthy: more than one, since a
 * daemon that starts lets no connections through for some tenths of a second; few, since each request to it is lost.
 */
export const UNREACHABLE_RETRIES = 2;

/** Pauses between looks at an unreachable replica: the first, to be sure of it; they double from there. */
const UNREACHABLE_DELAYS_MS = { first: 500, longest: 60_000 };

/** Opens the gate of a replica that has just been started. */
export function openGate(nowMs: number): Gate {
  return { openedAtMs: nowMs, failures: 0, countedAtMs: null };
}

/**
 * Decides what a look at a starting replica means. Reads no clock: `nowMs` is when the look ended.
 *
 * One success is enough. Failures within the start period never count; after it they count at most once per interval,
 * however often the gate looks, so a replica gets the whole time that its check promises: the verdict falls no earlier
 * than `startPeriodMs + (retries - 1) * intervalMs`. Looks come after a tenth of the time waited so far, at least 50 ms
 * and at most the interval, so a replica is found healthy at most a tenth later than it became so.
 */
export function passGate(gate: Gate, outcome: ProbeOutcome, check: HealthCheck, nowMs: number): GateVerdict {
  if (outcome.kind === 'passed') return { kind: 'healthy' };
  if (outcome.kind === 'final') return { kind: 'unhealthy', reason: outcome.reason };
  const delayMs = delay(nowMs - gate.openedAtMs, check.intervalMs);
  if (outcome.kind === 'pending') return { kind: 'wait', gate, delayMs };
  const counted = count(gate, check, nowMs);
  if (counted.failures >= check.retries) return { kind: 'unhealthy', reason: outcome.reason };
  return { kind: 'wait', gate: counted, delayMs };
}

function count(gate: Gate, check: HealthCheck, nowMs: number): Gate {
  if (nowMs - gate.openedAtMs < check.startPeriodMs) return gate;
  if (gate.countedAtMs !== null && nowMs - gate.countedAtMs < check.intervalMs) return gate;
  return { ...gate, failures: gate.failures + 1, countedAtMs: nowMs };
}

function delay(waitedMs: number, intervalMs: number): number {
  return Math.min(intervalMs, Math.max(FIRST_DELAY_MS, Math.round(waitedMs / 10)));
}

/** Health of a replica that has passed its gate, with the failures in a row so far. */
export interface RunningHealth {
  readonly healthy: boolean;
  readonly failures: number;
}

/**
 * Decides what a look at a running replica means: unhealthy after `retries` failures in a row, of which
 * {@link UNREACHABLE_RETRIES} are enough when it is unreachable; healthy again at the first success, and unchanged while
 * there is no answer.
 */
export function afterProbe(health: RunningHealth, outcome: ProbeOutcome, retries: number): RunningHealth {
  if (outcome.kind === 'pending') return health;
  if (outcome.kind === 'passed') return { healthy: true, failures: 0 };
  if (outcome.kind === 'final') return { healthy: false, failures: health.failures + 1 };
  const failures = health.failures + 1;
  const allowed = outcome.kind === 'unreachable' ? Math.min(retries, UNREACHABLE_RETRIES) : retries;
  return { healthy: health.healthy && failures < allowed, failures };
}

/** Says after how many milliseconds to look at a running replica again, given what the last look has made of it. */
export function nextLookMs({ failures }: RunningHealth, outcome: ProbeOutcome, { intervalMs }: HealthCheck): number {
  if (outcome.kind !== 'unreachable') return intervalMs;
  const { first, longest } = UNREACHABLE_DELAYS_MS;
  return Math.min(intervalMs, longest, first * 2 ** (failures - 1));
}

/** How long a replica whose health is only that it runs must keep running. */
export function settleMs(check: HealthCheck): number {
  return Math.min(check.intervalMs, LONGEST_SETTLE_MS);
}

/**
 * Says whether a starting container has exited for good, or too often to be given more time.
 *
 * Docker restarts by the policy, so an exit alone is no verdict: an application may wait for its database that way.
 * The exit after `retries` restarts since `restartsBefore`, and at most {@link MOST_RESTARTS}, is one.
 */
export function hasGivenUp(
  container: Pick<ObservedContainer, 'status' | 'restarts'>,
  rules: { readonly retries: number; readonly restartsBefore: number },
): boolean {
  if (container.status === 'exited' || container.status === 'dead' || container.status === 'removing') return true;
  if (container.status !== 'restarting') return false;
  return container.restarts - rules.restartsBefore >= Math.min(rules.retries, MOST_RESTARTS);
}
