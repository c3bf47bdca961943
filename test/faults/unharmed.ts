import { deploymentWorkflowId } from '../../contracts/deployment.ts';
import { lastEventId, readCommits } from './history.ts';
import type { Lane } from './lane.ts';
import { goOn, reach, untilQuiet } from './life.ts';
import { type Course, type OperationName, versionOf } from './operations.ts';
import { perform } from './subject.ts';
import { observeSubject } from './subject-state.ts';
import type { Unharmed, UnharmedCourse } from './sweep.ts';

/** Carries a course out undisturbed, to know how each of its operations goes. */
export async function measureUnharmed(lane: Lane, course: Course): Promise<UnharmedCourse> {
  const measured = new Map<OperationName, Unharmed>();
  for (const operation of course) measured.set(operation, await measure(lane, course, operation));
  return {
    course,
    of: (operation) => {
      const unharmed = measured.get(operation);
      if (!unharmed) throw new Error(`${operation} is not of the course ${course.join(', ')}`);
      return unharmed;
    },
  };
}

async function measure(lane: Lane, course: Course, operation: OperationName): Promise<Unharmed> {
  const { temporal } = lane.platform;
  const { subject, done } = await reach(lane, course, operation);
  const workflowId = deploymentWorkflowId(subject.id);
  const before = await lastEventId(temporal, workflowId);
  const { state, said } = await perform(lane, subject, { operation, version: versionOf(operation) });
  if (state !== 'succeeded') throw new Error(`the unharmed ${operation} ${state}: ${said}`);
  await untilQuiet(lane, subject);
  const commits = (await readCommits(temporal, workflowId))
    .filter(({ first }) => first > before)
    .map(({ first, last }) => ({ first: first - before, last: last - before }));
  const unharmed = { commits, state: await observeSubject(lane, subject) };
  goOn(lane, { subject, course, done: [...done, operation] });
  return unharmed;
}
