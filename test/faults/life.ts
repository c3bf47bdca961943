import { deploymentWorkflowId } from '../../contracts/deployment.ts';
import { eventually } from '../support/eventually.ts';
import type { Lane } from './lane.ts';
import { type Course, type OperationName, versionOf } from './operations.ts';
import { aSubject, perform, type Subject } from './subject.ts';
import { observeSubject } from './subject-state.ts';

/** A subject on its way through a course. */
export interface Life {
  readonly subject: Subject;
  readonly course: Course;
  /** The first operations of the course: what it has gone through. */
  readonly done: Course;
}

/** The subjects of a lane whose points are harmed one at a time. */
export interface Lives {
  /** The one that a further point may go on with. */
  present?: Life;
  /** Removals of those whose points are over; nothing is harmed before they have ended. */
  readonly leaving: Set<Promise<void>>;
}

/**
 * Brings a subject to where an operation of a course is the next one: the lane's present one, as long as it is on that
 * course and has not come further, else a new one. Nothing else is at work on the lane then.
 */
export async function reach(lane: Lane, course: Course, operation: OperationName): Promise<Life> {
  const before = course.slice(0, course.indexOf(operation));
  const present = takePresent(lane);
  const isOnTheWay = present?.course === course && present.done.length <= before.length;
  if (present && !isOnTheWay) letLeave(lane, present.subject);
  const life = present && isOnTheWay ? present : { subject: aSubject(lane), done: [] };
  for (const missing of before.slice(life.done.length)) {
    const { state, said } = await perform(lane, life.subject, { operation: missing, version: versionOf(missing) });
    if (state !== 'succeeded') throw new Error(`${operation} cannot be reached: ${missing} ${state}: ${said}`);
  }
  await untilQuiet(lane, life.subject);
  await untilOthersLeft(lane);
  return { subject: life.subject, course, done: before };
}

function takePresent({ lives }: Lane): Life | undefined {
  const { present } = lives;
  delete lives.present;
  return present;
}

/** Keeps a life for the next point. */
export function goOn({ lives }: Lane, life: Life): void {
  lives.present = life;
}

/** Removes a subject while the next one is prepared, since both mostly wait. */
export function letLeave(lane: Lane, subject: Subject): void {
  const removal = removeSubject(lane, subject);
  lane.lives.leaving.add(removal);
  // Whoever waits for it is told.
  removal.catch(() => undefined);
}

/** Waits until the lane has no subject any more. @throws what kept one from being removed */
export async function untilAllLeft(lane: Lane): Promise<void> {
  const present = takePresent(lane);
  if (present) letLeave(lane, present.subject);
  await untilOthersLeft(lane);
}

async function untilOthersLeft({ lives: { leaving } }: Lane): Promise<void> {
  const removals = [...leaving];
  leaving.clear();
  await Promise.all(removals);
}

/** Removes a subject, if it exists, and waits until nothing runs of it. */
export async function removeSubject(lane: Lane, subject: Subject): Promise<void> {
  const { deployment } = await observeSubject(lane, subject);
  if (deployment !== null) await perform(lane, subject, { operation: 'delete', version: versionOf('delete') });
  await eventually(async () => {
    const { containers, workflow } = await observeSubject(lane, subject);
    if (Object.keys(containers).length > 0 || workflow === 'RUNNING') throw new Error(`${subject.name} is still there`);
  });
}

/** Waits until the workflow has nothing to do, so that the next event belongs to the next operation. */
export async function untilQuiet({ platform: { temporal } }: Lane, { id }: Subject): Promise<void> {
  await eventually(async () => {
    const handle = temporal.workflow.getHandle(deploymentWorkflowId(id));
    const description = await handle.describe().catch(() => undefined);
    const isBusy = description?.raw.pendingWorkflowTask || (description?.raw.pendingActivities ?? []).length > 0;
    if (isBusy) throw new Error('the workflow is at work');
  });
}
