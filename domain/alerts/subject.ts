import { type AlertRule, type AlertRuleName, BUILT_IN_RULES, overridden, type RuleOverride } from './alert-rules.ts';
import { type AlertState, INACTIVE, nextAlert, type Reading } from './alert-state.ts';

/** What is known of one thing that alerts may be about. */
export interface Subject {
  readonly kind: AlertRule['subject'];
  /** A UUID of a deployment, or the id of a node. */
  readonly id: string;
  /** `null` for a node. */
  readonly organizationId: string | null;
  /** Name of a deployment, host name of a node. */
  readonly name: string;
  /** By rule. One that is left out was not looked at, and stays as it is: that is no silence. */
  readonly readings: Readonly<Partial<Record<AlertRuleName, Reading>>>;
  /** What a reading is about where a rule looks at several things, for example a hostname. */
  readonly details: Readonly<Partial<Record<AlertRuleName, string>>>;
}

/** A change of one alert that is to be stored. */
export interface AlertChange {
  readonly rule: AlertRule;
  readonly subject: Subject;
  readonly before: AlertState;
  readonly after: AlertState;
  readonly event: 'fired' | 'resolved' | null;
  /** Whether it ends because the rule was switched off. */
  readonly isOff: boolean;
}

/** What a subject's alerts follow from. */
export interface SubjectFacts {
  readonly subject: Subject;
  /** Open alerts by rule; those that are left out are inactive. */
  readonly open: Readonly<Partial<Record<AlertRuleName, AlertState>>>;
  /** What members have set, by rule. */
  readonly overrides: Readonly<Partial<Record<AlertRuleName, RuleOverride>>>;
}

/** Carries all alerts of one subject on. What stays inactive is left out, so a quiet subject costs nothing to store. */
export function planAlerts({ subject, open, overrides }: SubjectFacts, nowMs: number): AlertChange[] {
  return BUILT_IN_RULES.filter((rule) => rule.subject === subject.kind).flatMap((builtIn) => {
    const override = overrides[builtIn.name];
    const rule = override ? overridden(builtIn, override) : builtIn;
    const before = open[rule.name] ?? INACTIVE;
    if (override && !override.isEnabled) return switchedOff(rule, subject, before);
    const reading = subject.readings[rule.name];
    if (!reading) return [];
    const { state: after, event } = nextAlert(before, rule, reading, nowMs);
    if (before.kind === 'inactive' && after.kind === 'inactive') return [];
    return [{ rule, subject, before, after, event, isOff: false }];
  });
}

function switchedOff(rule: AlertRule, subject: Subject, before: AlertState): AlertChange[] {
  if (before.kind === 'inactive') return [];
  const event = before.kind === 'firing' ? ('resolved' as const) : null;
  return [{ rule, subject, before, after: INACTIVE, event, isOff: true }];
}
