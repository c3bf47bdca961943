import { invalidArgument } from './errors.ts';

/** What must hold, or be waited for, before a rollout goes on. Times in milliseconds. */
export type RolloutGate =
  /** A person says that it may go on. */
  | { readonly kind: 'approval' }
  /** Some time passes. */
  | { readonly kind: 'wait'; readonly waitMs: number }
  /** The ingress is watched for a time: of at least so many requests not more than a share may be answered 5xx. */
  | {
      readonly kind: 'errors';
      readonly waitMs: number;
      readonly maxErrorPercent: number;
      readonly minRequests: number;
    };

/** A step of a canary: the share of requests that the new revision gets, and what decides about more. */
export interface CanaryStep {
  readonly weightPercent: number;
  readonly gate: RolloutGate;
}

/**
 * How a revision replaces another one.
 *
 * `rolling` starts new replicas before it takes old ones away, as many beyond the wanted number as the surge allows;
 * `recreate` takes the old ones away first, for what must never run twice; `blue-green` starts all, switches once, and
 * keeps the old ones for a while; `canary` gives the new ones a growing share of the requests.
 */
export type RolloutPolicy =
  | {
      readonly strategy: 'rolling';
      /** Replicas beyond the wanted number while both run, in percent of it, rounded up. */
      readonly maxSurgePercent: number;
      /** Replicas that may be missing from the wanted number meanwhile, in percent of it, rounded down. */
      readonly maxUnavailablePercent: number;
      /** Whether a person decides before requests reach the new revision. */
      readonly approval: boolean;
    }
  | { readonly strategy: 'recreate'; readonly approval: boolean }
  | {
      readonly strategy: 'blue-green';
      readonly approval: boolean;
      /** How long the old replicas are kept behind the switch, for a way back without a start; milliseconds. */
      readonly keepOldMs: number;
    }
  | { readonly strategy: 'canary'; readonly steps: readonly CanaryStep[] };

/** All new replicas are started before an old one goes: a failure then costs nothing (decision 5). */
export const DEFAULT_ROLLOUT: RolloutPolicy = {
  strategy: 'rolling',
  maxSurgePercent: 100,
  maxUnavailablePercent: 0,
  approval: false,
};

/** Longest that a step may wait: a week. Whoever needs longer asks for an approval. */
export const LONGEST_WAIT_MS = 7 * 24 * 3_600_000;

/** Steps of a canary at most. */
export const MOST_CANARY_STEPS = 20;

/** Makes a policy valid that came in. @throws INVALID_ARGUMENT */
export function parseRolloutPolicy(field: string, policy: RolloutPolicy | undefined): RolloutPolicy {
  if (!policy) return DEFAULT_ROLLOUT;
  if (policy.strategy === 'rolling') {
    within(`${field}.rolling.max_surge_percent`, policy.maxSurgePercent, [0, 100], ' %');
    within(`${field}.rolling.max_unavailable_percent`, policy.maxUnavailablePercent, [0, 100], ' %');
    if (policy.maxSurgePercent > 0 || policy.maxUnavailablePercent > 0) return policy;
    throw invalidArgument(
      `${field}.rolling`,
      'neither a surge nor an unavailable replica is allowed, so nothing could ever be replaced',
      'one of max_surge_percent and max_unavailable_percent above 0',
    );
  }
  if (policy.strategy === 'blue-green') {
    within(`${field}.blue_green.keep_old`, policy.keepOldMs, [0, LONGEST_WAIT_MS], ' ms');
  }
  if (policy.strategy === 'canary') checkSteps(`${field}.canary.steps`, policy.steps);
  return policy;
}

function checkSteps(field: string, steps: readonly CanaryStep[]): void {
  if (steps.length < 1 || steps.length > MOST_CANARY_STEPS) {
    throw invalidArgument(field, `${steps.length} steps`, `1 to ${MOST_CANARY_STEPS}`);
  }
  let least = 1;
  for (const [index, { weightPercent, gate }] of steps.entries()) {
    within(`${field}[${index}].weight_percent`, weightPercent, [least, 99], ' %, more with each step');
    least = weightPercent + 1;
    if (gate.kind === 'approval') continue;
    within(`${field}[${index}].wait`, gate.waitMs, [0, LONGEST_WAIT_MS], ' ms');
    if (gate.kind !== 'errors') continue;
    within(`${field}[${index}].errors.max_error_percent`, gate.maxErrorPercent, [0, 100], ' %');
    within(`${field}[${index}].errors.min_requests`, gate.minRequests, [1, 1_000_000]);
  }
}

function within(field: string, value: number, [least, most]: readonly [number, number], unit = ''): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  throw invalidArgument(field, `found ${value}`, `${least} to ${most}${unit}`);
}
