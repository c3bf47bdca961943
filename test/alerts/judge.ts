import { type AlertRuleName, parseRule } from '../../domain/alerts/alert-rules.ts';

/** An alert as the database has it. */
export interface FiredAlert {
  readonly id: string;
  readonly rule: string;
  /** A deployment or a node. */
  readonly subject: string;
}

/** A message that the receiver took. */
export interface Told {
  readonly id: string;
  readonly event: string;
  readonly rule: string;
  readonly subject: string;
  readonly atMs: number;
}

/** All that came of a fault. */
export interface FaultCourse {
  readonly rules: readonly AlertRuleName[];
  readonly also: readonly AlertRuleName[];
  readonly deployments: readonly string[];
  readonly nodeId: string;
  readonly harmedAtMs: number;
  readonly healedAtMs: number;
  readonly alerts: readonly FiredAlert[];
  readonly told: readonly Told[];
}

/** What came of one rule. Times are of the last of its subjects. */
export interface RuleOutcome {
  readonly rule: string;
  /** Deployments or nodes that it is about. */
  readonly subjects: number;
  readonly fired: number;
  readonly toldFired: number;
  readonly toldResolved: number;
  /** From the fault until it was told; `null` when it never was. */
  readonly toldAfterMs: number | null;
  /** From the end of the fault until that was told. */
  readonly resolvedAfterMs: number | null;
}

/** What holds of a fault, and what does not, in words. */
export interface Judgement {
  readonly outcomes: readonly RuleOutcome[];
  readonly breaks: readonly string[];
}

const FIRED = 'alert.fired';
const RESOLVED = 'alert.resolved';

/** Whom a rule is about in a fault. */
export function subjectsOf(rule: AlertRuleName, fault: Pick<FaultCourse, 'deployments' | 'nodeId'>): readonly string[] {
  return parseRule('rule', rule).subject === 'node' ? [fault.nodeId] : fault.deployments;
}

/** Whether each of some rules was told of each of its subjects. */
export function areTold(
  event: typeof FIRED | typeof RESOLVED,
  rules: readonly AlertRuleName[],
  { told, ...fault }: Pick<FaultCourse, 'deployments' | 'nodeId' | 'told'>,
): boolean {
  return rules.every((rule) =>
    subjectsOf(rule, fault).every((subject) =>
      told.some((one) => one.event === event && one.rule === rule && one.subject === subject),
    ),
  );
}

/** Judges a fault by what the database and the receiver know: what had to fire did once for each, and nothing else did. */
export function judge(course: FaultCourse): Judgement {
  const { rules, also, alerts, told } = course;
  const seen = [...new Set([...rules, ...alerts.map(({ rule }) => rule), ...told.map(({ rule }) => rule)])];
  const outcomes = seen.map((rule) => outcomeOf(rule, course));
  const repeated = told.length - new Set(told.map(({ id }) => id)).size;
  const unexplained = seen.filter((rule) => ![...rules, ...also].some((expected) => expected === rule));
  return {
    outcomes,
    breaks: [
      ...rules.flatMap((rule) => subjectsOf(rule, course).flatMap((subject) => notOnce(rule, subject, course, true))),
      ...also.flatMap((rule) => subjectsOf(rule, course).flatMap((subject) => notOnce(rule, subject, course, false))),
      ...unexplained.map((rule) => `${rule} fired, which this fault does not explain`),
      ...(repeated > 0 ? [`${repeated} messages came more than once`] : []),
    ],
  };
}

function notOnce(rule: string, subject: string, { alerts, told }: FaultCourse, isWanted: boolean): string[] {
  const fired = alerts.filter((alert) => alert.rule === rule && alert.subject === subject).length;
  const events = told.filter((one) => one.rule === rule && one.subject === subject).map(({ event }) => event);
  if (!isWanted && fired === 0 && events.length === 0) return [];
  const isOnce = fired === 1 && events.join() === `${FIRED},${RESOLVED}`;
  return isOnce ? [] : [`${rule} of ${subject} fired ${fired} times and was told as ${events.join(', ') || 'nothing'}`];
}

function outcomeOf(rule: string, { alerts, told, harmedAtMs, healedAtMs }: FaultCourse): RuleOutcome {
  const own = told.filter((one) => one.rule === rule);
  const at = (event: string): number[] => own.filter((one) => one.event === event).map(({ atMs }) => atMs);
  const after = (times: readonly number[], sinceMs: number) =>
    times.length === 0 ? null : Math.max(...times) - sinceMs;
  const fired = alerts.filter((alert) => alert.rule === rule);
  return {
    rule,
    subjects: new Set([...fired, ...own].map(({ subject }) => subject)).size,
    fired: fired.length,
    toldFired: at(FIRED).length,
    toldResolved: at(RESOLVED).length,
    toldAfterMs: after(at(FIRED), harmedAtMs),
    resolvedAfterMs: after(at(RESOLVED), healedAtMs),
  };
}
