import type { Client } from '@temporalio/client';
import { EVALUATE_ALERTS_WORKFLOW } from '../../contracts/alerts.ts';
import { eventually } from '../support/eventually.ts';
import type { ToldMessage } from '../support/webhook-receiver.ts';
import type { AlertBed } from './bed.ts';
import type { Fault, ReadyFault } from './fault.ts';
import { areTold, type FaultCourse, judge, type RuleOutcome, type Told } from './judge.ts';

/** What came of a fault. */
export interface FaultResult {
  readonly name: string;
  readonly about: string;
  readonly changed: string;
  readonly outcomes: readonly RuleOutcome[];
  readonly breaks: readonly string[];
  /** Ids of the alerts that fired, and of the messages that came. */
  readonly alertIds: readonly string[];
  readonly messageIds: readonly string[];
}

/** A fault under way. */
export interface RunningFault {
  /** Resolves when nothing is harmed any more, however that went. */
  readonly healed: Promise<void>;
  readonly result: Promise<FaultResult>;
}

/** After the end of an alert so many further evaluations show that it stays at that. */
const EVALUATIONS_AFTER = 1;

/** Longer than the platform takes for that many. */
const EVALUATIONS_PATIENCE_MS = 180_000;

/** What a run needs beside the fault. */
export interface FaultRun {
  readonly bed: AlertBed;
  readonly stack: AsyncDisposableStack;
  tell(line: string): void;
}

/** Does a fault to the platform, waits until all was told, heals it, and waits until that was told. */
export function startFault(fault: Fault, run: FaultRun): RunningFault {
  const healed = Promise.withResolvers<void>();
  const result = runFault(fault, run, healed.resolve).finally(healed.resolve);
  // Whoever waits for the healing first is not to lose the process for what the result says later.
  result.catch(() => undefined);
  return { healed: healed.promise, result };
}

async function runFault(fault: Fault, { bed, stack, tell }: FaultRun, onHealed: () => void): Promise<FaultResult> {
  const { name, about, changed = '', rules, also = [], patienceMs } = fault;
  let ready: ReadyFault | undefined;
  let course: FaultCourse | undefined;
  const breaks: string[] = [];
  try {
    ready = await fault.prepare(bed, stack);
    const { deployments } = ready;
    const harmedAtMs = Date.now();
    await ready.harm();
    tell(`${name}: harmed`);
    const look = (healedAtMs: number): Promise<FaultCourse> =>
      readCourse(bed, { rules, also, deployments, harmedAtMs, healedAtMs });
    const untilTold = async (event: 'alert.fired' | 'alert.resolved'): Promise<void> => {
      const toldNow = (): Told[] => toTold(bed.receiver.told).filter(({ atMs }) => atMs >= harmedAtMs);
      const isTold = () => areTold(event, rules, { deployments, nodeId: bed.node.nodeId, told: toldNow() });
      await bed.receiver.until(isTold, patienceMs).catch((error: unknown) => {
        breaks.push(`${event} of ${rules.join(', ')}: ${String(error)}`);
      });
    };
    await untilTold('alert.fired');
    tell(`${name}: told after ${((Date.now() - harmedAtMs) / 1_000).toFixed(1)} s`);
    const healedAtMs = Date.now();
    await ready.heal();
    onHealed();
    await untilTold('alert.resolved');
    tell(`${name}: over after ${((Date.now() - healedAtMs) / 1_000).toFixed(1)} s`);
    await untilEnded(() => look(healedAtMs), patienceMs);
    await untilEvaluated(bed.temporal, EVALUATIONS_AFTER);
    course = await look(healedAtMs);
  } catch (error) {
    breaks.push(`came to no end: ${String(error)}`);
  }
  await ready?.remove().catch((error: unknown) => breaks.push(`is not removed: ${String(error)}`));
  const judged = course ? judge(course) : { outcomes: [], breaks: [] };
  const [alertIds, messageIds] = [course?.alerts ?? [], course?.told ?? []].map((all) => all.map(({ id }) => id));
  return {
    ...{ name, about, changed, outcomes: judged.outcomes, breaks: [...breaks, ...judged.breaks] },
    ...{ alertIds: alertIds ?? [], messageIds: messageIds ?? [] },
  };
}

/** What else fired ends as well, and that is told. */
async function untilEnded(look: () => Promise<FaultCourse>, patienceMs: number): Promise<void> {
  const open = async (): Promise<void> => {
    const { alerts, told } = await look();
    const left = alerts.filter(
      ({ rule, subject }) =>
        !told.some((one) => one.event === 'alert.resolved' && one.rule === rule && one.subject === subject),
    );
    if (left.length > 0) throw new Error(`${left.map(({ rule }) => rule).join(', ')} goes on`);
  };
  await eventually(open, { patienceMs, everyMs: 500 }).catch(() => undefined);
}

/** What of the node is due to other faults at the same time is known by its rule. */
async function readCourse(
  { db, receiver, node }: AlertBed,
  of: Omit<FaultCourse, 'alerts' | 'told' | 'nodeId'>,
): Promise<FaultCourse> {
  const own: readonly string[] = [...of.rules, ...of.also];
  const isOf = ({ subject, rule }: { readonly subject: string; readonly rule: string }): boolean =>
    of.deployments.includes(subject) || (subject === node.nodeId && own.includes(rule));
  const rows = await db
    .selectFrom('alerts')
    .select(['id', 'rule', 'subject'])
    .where('fired_at', '>=', new Date(of.harmedAtMs))
    .execute();
  const told = toTold(receiver.told).filter((one) => one.atMs >= of.harmedAtMs && isOf(one));
  return { ...of, nodeId: node.nodeId, alerts: rows.filter(isOf), told };
}

/** Messages by what they are about. */
export function toTold(messages: readonly ToldMessage[]): Told[] {
  return messages.flatMap(({ id, event, rule, deploymentId, nodeId, atMs }) => {
    const subject = deploymentId ?? nodeId;
    return subject === null ? [] : [{ id, event, rule, subject, atMs }];
  });
}

/** How many evaluations of the schedule have ended that began at this time or later. */
export async function countEvaluations(temporal: Client, since: Date): Promise<number> {
  const { count } = await temporal.workflow.count(
    `WorkflowType = '${EVALUATE_ALERTS_WORKFLOW}' AND ExecutionStatus = 'Completed' AND StartTime >= '${since.toISOString()}'`,
  );
  return count;
}

/** Waits until so many evaluations have begun and ended from now on. */
export async function untilEvaluated(
  temporal: Client,
  times: number,
  patienceMs = EVALUATIONS_PATIENCE_MS,
): Promise<void> {
  const since = new Date();
  await eventually(
    async () => {
      const done = await countEvaluations(temporal, since);
      if (done < times) throw new Error(`${done} evaluations of ${times} have ended`);
    },
    { patienceMs, everyMs: 1_000 },
  );
}
