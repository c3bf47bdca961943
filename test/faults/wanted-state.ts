import { untilAlike } from './harmed-operation.ts';
import type { Lane } from './lane.ts';
import { bodyOf, type Wanted } from './operations.ts';
import type { Subject } from './subject.ts';
import type { SubjectState } from './subject-state.ts';

/** What of a subject's state follows from what is wanted of it alone, whatever was done before. */
interface WantedView {
  /** Of each container that there is, its state and image. */
  readonly containers: readonly string[];
  readonly recorded: number;
  readonly revision: number | null;
  readonly workflow: string;
  readonly answer: string;
}

/**
 * Waits until a subject is as the reference model says.
 *
 * @param expected.revision the newest revision; absent where it does not matter
 * @returns what still differs when patience has run out.
 */
export async function untilAsWanted(
  lane: Lane,
  subject: Subject,
  { wanted, revision }: { readonly wanted: Wanted; readonly revision?: number },
): Promise<string[]> {
  const { Id } = await lane.docker.getImage(lane.image).inspect();
  const runs = wanted && !wanted.stopped ? wanted.replicas : 0;
  const view: Partial<WantedView> = {
    containers: Array.from({ length: runs }, () => `running ${Id}`),
    recorded: runs,
    ...(revision === undefined ? {} : { revision: wanted && revision }),
    workflow: wanted ? 'RUNNING' : 'COMPLETED',
    answer: runs > 0 && wanted ? `200 ${bodyOf(wanted.version)}` : 'nothing',
  };
  return await untilAlike(lane, subject, view, toView);
}

function toView({ containers, replicas, deployment, workflow, answer }: SubjectState): WantedView {
  return {
    containers: Object.values(containers),
    recorded: Object.keys(replicas).length,
    revision: deployment?.revision ?? null,
    workflow,
    answer: answer.startsWith('200 ') ? answer : 'nothing',
  };
}
