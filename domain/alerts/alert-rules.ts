import { invalidArgument } from '../errors.ts';
import type { Condition } from './alert-state.ts';

/** Every rule that this platform has. The names are stable: people silence by them, and receivers route by them. */
export const ALERT_RULES = [
  'cpu',
  'memory',
  'restarts',
  'crash-loop',
  'replica-down',
  'volumes-on-lost-node',
  'certificate-expiry',
  'error-rate',
  'node-lost',
  'node-disk',
  'metrics-unhealthy',
  'metrics-breaker-open',
  'metrics-spool-age',
  'metrics-rows-dropped',
  'streamer-silent',
] as const;

/** The name of a rule. */
export type AlertRuleName = (typeof ALERT_RULES)[number];

/** How bad it is: `critical` is an outage or will be one, `warning` is what somebody should look at in daylight. */
export type Severity = 'warning' | 'critical';

/** One rule. */
export interface AlertRule extends Condition {
  readonly name: AlertRuleName;
  /** Whose it is: a deployment's, which its organization sees, or a node's, which operators of the platform see. */
  readonly subject: 'deployment' | 'node';
  readonly severity: Severity;
  /** What its value is counted in; for `state` 1 means that it is so. */
  readonly unit: 'percent' | 'count' | 'days' | 'seconds' | 'state';
  /** What has happened, in words. */
  readonly summary: string;
  /** Whether members may set its thresholds for a deployment. */
  readonly isAdjustable: boolean;
}

const MINUTE_MS = 60_000;

/** A condition that is so or is not. */
const AS_STATE = { direction: 'above', fireAt: 1, clearAt: 1, unit: 'state' } as const;

type Shape = Omit<AlertRule, 'name' | 'subject' | 'isAdjustable'>;

const OF_DEPLOYMENTS = {
  cpu: {
    ...{ direction: 'above', fireAt: 90, clearAt: 80, forMs: 10 * MINUTE_MS, clearForMs: 2 * MINUTE_MS },
    ...{ severity: 'warning', unit: 'percent', summary: 'a replica uses almost all the CPU that it may' },
  },
  memory: {
    ...{ direction: 'above', fireAt: 90, clearAt: 85, forMs: 5 * MINUTE_MS, clearForMs: 2 * MINUTE_MS },
    ...{ severity: 'warning', unit: 'percent', summary: 'a replica uses almost all the memory that it may' },
  },
  restarts: {
    ...{ direction: 'above', fireAt: 3, clearAt: 1, forMs: 0, clearForMs: 0 },
    ...{ severity: 'warning', unit: 'count', summary: 'replicas were restarted again and again within 15 minutes' },
  },
  // Held back from the third restart in a row; the streak ends when the replica has run steadily for a while.
  'crash-loop': {
    ...{ direction: 'above', fireAt: 3, clearAt: 1, forMs: 0, clearForMs: 0 },
    ...{ severity: 'critical', unit: 'count', summary: 'a replica exits again and again' },
  },
  'replica-down': {
    ...{ direction: 'above', fireAt: 1, clearAt: 1, forMs: MINUTE_MS, clearForMs: 15_000 },
    ...{ severity: 'critical', unit: 'count', summary: 'fewer replicas are healthy than are wanted' },
  },
  'volumes-on-lost-node': {
    ...{ ...AS_STATE, forMs: 0, clearForMs: 0, severity: 'critical' },
    summary: 'the deployment cannot move: its volumes are on a node that is lost',
  },
  'certificate-expiry': {
    ...{ direction: 'below', fireAt: 14, clearAt: 20, forMs: 0, clearForMs: 0 },
    ...{ severity: 'warning', unit: 'days', summary: 'a certificate that the ingress serves expires soon' },
  },
  'error-rate': {
    ...{ direction: 'above', fireAt: 5, clearAt: 2, forMs: 2 * MINUTE_MS, clearForMs: 2 * MINUTE_MS },
    ...{ severity: 'critical', unit: 'percent', summary: 'requests are answered with 5xx' },
  },
} as const satisfies Partial<Record<AlertRuleName, Shape>>;

const OF_NODES = {
  'node-lost': { ...AS_STATE, forMs: 0, clearForMs: 0, severity: 'critical', summary: 'the node is lost' },
  // 1 is little room left on the disk, 2 is none; the node itself has the hysteresis.
  'node-disk': {
    ...{ direction: 'above', fireAt: 1, clearAt: 1, forMs: 0, clearForMs: MINUTE_MS },
    ...{ severity: 'warning', unit: 'state', summary: 'the disk of the node has little room left' },
  },
  'metrics-unhealthy': {
    ...{ ...AS_STATE, forMs: 0, clearForMs: 0, severity: 'warning' },
    summary: 'the streamer does not read or store what it should',
  },
  'metrics-breaker-open': {
    ...{ ...AS_STATE, forMs: 2 * MINUTE_MS, clearForMs: 0, severity: 'warning' },
    summary: 'the streamer leaves Docker alone because its calls fail',
  },
  'metrics-spool-age': {
    ...{ direction: 'above', fireAt: 300, clearAt: 60, forMs: 0, clearForMs: 0 },
    ...{ severity: 'warning', unit: 'seconds', summary: 'metrics wait for their database' },
  },
  'metrics-rows-dropped': {
    ...{ ...AS_STATE, forMs: 0, clearForMs: 0, severity: 'critical' },
    summary: 'metrics were dropped for good within 15 minutes',
  },
  'streamer-silent': {
    ...{ ...AS_STATE, forMs: MINUTE_MS, clearForMs: 0, severity: 'warning' },
    summary: 'the streamer of the node does not answer',
  },
} as const satisfies Partial<Record<AlertRuleName, Shape>>;

/** The rules as they are where nobody has set anything else. */
export const BUILT_IN_RULES: readonly AlertRule[] = [
  ...namesOf(OF_DEPLOYMENTS).map((name) => ruleOf(name, OF_DEPLOYMENTS[name], 'deployment')),
  ...namesOf(OF_NODES).map((name) => ruleOf(name, OF_NODES[name], 'node')),
];

function namesOf<Name extends AlertRuleName>(shapes: Readonly<Record<Name, Shape>>): Name[] {
  return Object.keys(shapes) as Name[];
}

function ruleOf(name: AlertRuleName, shape: Shape, subject: AlertRule['subject']): AlertRule {
  return { ...shape, name, subject, isAdjustable: subject === 'deployment' && shape.unit !== 'state' };
}

/** The rule of a name. @throws INVALID_ARGUMENT for a name that is none. */
export function parseRule(field: string, name: string): AlertRule {
  const rule = BUILT_IN_RULES.find((one) => one.name === name);
  if (rule) return rule;
  throw invalidArgument(field, `found rule ${JSON.stringify(name.slice(0, 80))}`, `one of ${ALERT_RULES.join(', ')}`);
}

/** What a member sets for one rule of one deployment; what is left out stays as it is built in. */
export interface RuleOverride {
  readonly isEnabled: boolean;
  readonly fireAt: number | null;
  readonly clearAt: number | null;
  readonly forMs: number | null;
}

/** A day: whoever wants to hear later than that does not want to hear. */
const MAX_FOR_MS = 24 * 60 * MINUTE_MS;

const LARGEST = { percent: 10_000, count: 1_000_000, days: 3_650, seconds: 86_400, state: 1 } as const;

/**
 * Checks what a member wants of a rule.
 *
 * @throws INVALID_ARGUMENT for a rule that cannot be adjusted, and for thresholds that would make it flap: what clears
 *   must not be worse than what fires.
 */
export function checkOverride(rule: AlertRule, override: RuleOverride): void {
  const isChanged = override.fireAt !== null || override.clearAt !== null;
  if (isChanged && !rule.isAdjustable) {
    throw invalidArgument('fire_at', `rule ${rule.name} has no threshold`, 'none, or another rule');
  }
  const { fireAt, clearAt, direction } = overridden(rule, override);
  const most = LARGEST[rule.unit];
  for (const [field, value] of [
    ['fire_at', fireAt],
    ['clear_at', clearAt],
  ] as const) {
    if (value >= 0 && value <= most) continue;
    throw invalidArgument(field, `found ${value}`, `0 to ${most}`);
  }
  if (direction === 'above' ? clearAt > fireAt : clearAt < fireAt) {
    const side = direction === 'above' ? 'at most' : 'at least';
    throw invalidArgument('clear_at', `found ${clearAt}`, `${side} the ${fireAt} at which it fires`);
  }
  const { forMs } = override;
  if (forMs === null || (Number.isInteger(forMs) && forMs >= 0 && forMs <= MAX_FOR_MS)) return;
  throw invalidArgument('for', `found ${forMs} ms`, 'no time to 24 hours');
}

/** A rule with what a member has set. A threshold that fires without one that clears keeps the distance between the two. */
export function overridden(rule: AlertRule, { fireAt, clearAt, forMs }: RuleOverride): AlertRule {
  const fire = fireAt ?? rule.fireAt;
  const moved = rule.direction === 'above' ? Math.max(0, fire - gapOf(rule)) : fire + gapOf(rule);
  const clear = clearAt ?? (fireAt === null ? rule.clearAt : moved);
  return { ...rule, fireAt: fire, clearAt: clear, forMs: forMs ?? rule.forMs };
}

function gapOf({ fireAt, clearAt }: Condition): number {
  return Math.abs(fireAt - clearAt);
}
