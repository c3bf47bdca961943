import { deploymentWorkflowId } from '../../contracts/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { type ProbeReport, startProber } from '../support/prober.ts';
import { lastEventId } from './history.ts';
import { type Lane, settle } from './lane.ts';
import { goOn, letLeave, reach } from './life.ts';
import { type Course, type OperationName, versionOf, wantedAfter } from './operations.ts';
import { type Asked, ask, type Subject, untilEnded } from './subject.ts';
import { differencesOf, observeSubject, type SubjectState } from './subject-state.ts';
import type { PointOutcome, Unharmed, UnharmedCourse } from './sweep.ts';

/** The operation that is about to be harmed. */
export interface Target {
  readonly lane: Lane;
  readonly subject: Subject;
  readonly operation: OperationName;
  /** Id of the last event before the operation; 0 when the workflow does not exist yet. */
  readonly eventsBefore: number;
}

/** A fault that waits for its moment. */
export interface Armed {
  /** When it struck, milliseconds on this process's clock; `undefined` as long as it has not. */
  struckAt(): number | undefined;
  /** Takes it away. One that may still come is waited for a little. */
  disarm(): Promise<void>;
}

/** Makes a fault ready for one operation. */
export type Arm = (target: Target) => Armed | Promise<Armed>;

/** Requests a second to an application that must go on serving. */
const PROBES_PER_SECOND = 20;

/** How long a state may take to settle once the operation has ended: a bound that only a hang reaches. */
const SETTLE_MS = 30_000;

/**
 * Carries an operation of a course out while something is harmed, and compares its end with the unharmed one. An
 * application that served before and shall serve afterwards is asked all the while, and must not miss a request.
 *
 * @param harm.mayLose whether what is harmed carries those requests itself, so that they are not made
 */
export async function harmOperation(
  lane: Lane,
  harm: { operation: OperationName; unharmed: UnharmedCourse; arm: Arm; mayLose?: boolean },
): Promise<PointOutcome> {
  const { operation, unharmed, arm, mayLose = false } = harm;
  const wanted = unharmed.of(operation);
  const { subject, done } = await reach(lane, unharmed.course, operation);
  const eventsBefore = await lastEventId(lane.platform.temporal, deploymentWorkflowId(subject.id));
  const prober = !mayLose && servesThroughout(operation, done, subject) ? probe(lane, subject) : undefined;
  const armed = await arm({ lane, subject, operation, eventsBefore });
  let endedAt = 0;
  let asked: Asked;
  try {
    asked = await ask(lane, subject, { operation, version: versionOf(operation) });
    await untilEnded(lane, subject, asked.operationId);
    endedAt = performance.now();
  } finally {
    await armed.disarm();
  }
  const again = await ask(lane, subject, asked);
  const failures = await untilLike(lane, subject, wanted.state);
  const breaks = [
    ...answeredOtherwise(asked, again),
    ...lossesOf(await prober?.stop()),
    ...madeTwice(lane, subject, wanted),
  ];
  await settle(lane);
  if (failures.length + breaks.length > 0) letLeave(lane, subject);
  else goOn(lane, { subject, course: unharmed.course, done: [...done, operation] });
  const struckAt = armed.struckAt();
  const recoveryMs = struckAt === undefined ? null : Math.max(0, endedAt - struckAt);
  return { harmed: struckAt !== undefined, recoveryMs, operations: 1, failures, breaks };
}

/** Waits until the subject is as wanted. @returns what still differs when patience has run out. */
export async function untilLike(lane: Lane, subject: Subject, state: Partial<SubjectState>): Promise<string[]> {
  return await untilAlike(lane, subject, state, (found) => found);
}

/** The same for what a view of the state shows. */
export async function untilAlike<View extends object>(
  lane: Lane,
  subject: Subject,
  wanted: Partial<View>,
  toView: (state: SubjectState) => View,
): Promise<string[]> {
  let differences: string[] = [];
  const look = async (): Promise<void> => {
    differences = differencesOf(toView(await observeSubject(lane, subject)), wanted);
    if (differences.length > 0) throw new Error('not there yet');
  };
  // What is different in the end is the finding, so it is returned in place of being thrown.
  await eventually(look, { patienceMs: SETTLE_MS, everyMs: 100 }).catch((error: unknown) => {
    if (differences.length === 0) throw error;
  });
  return differences;
}

/** Whether an application has to answer before, during and after an operation that follows on others. */
export function servesThroughout(operation: OperationName, done: Course, subject: Subject): boolean {
  return [done, [...done, operation]].every((course) => {
    const wanted = wantedAfter(course, subject);
    return wanted !== null && !wanted.stopped;
  });
}

/** Asks an application all the while. */
export function probe({ platform }: Lane, { name }: Subject) {
  return startProber({ port: platform.httpPort, host: `${name}.localhost`, perSecond: PROBES_PER_SECOND });
}

/** I3: what the requests meanwhile have found. */
export function lossesOf(report: ProbeReport | undefined): string[] {
  if (!report) return [];
  const silent = report.total < PROBES_PER_SECOND / 4 ? ['I3: hardly a request was sent'] : [];
  return [...report.losses.map((loss) => `I3: requests were lost: ${JSON.stringify(loss)}`), ...silent];
}

/** I9: the same key gets the same answer for ever. */
function answeredOtherwise({ answer: first }: Asked, { answer: second }: Asked): string[] {
  if (JSON.stringify(first) === JSON.stringify(second)) return [];
  return [`I9: the same key was answered with ${JSON.stringify(first)} and ${JSON.stringify(second)}`];
}

/** I9: of every replica that runs in the end exactly one container was made. */
function madeTwice({ containers }: Lane, { id }: Subject, { state }: Unharmed): string[] {
  return Object.keys(state.containers).flatMap((replica) => {
    const times = containers.creations(id, replica);
    return times === 1 ? [] : [`I9: ${times} containers were made for ${replica}`];
  });
}
