import type { LookActivities } from '../contracts/reconcile.ts';
import type { NodeSight, SeenContainer } from '../domain/reconcile.ts';
import { withHeartbeats } from './heartbeats.ts';

/** Strangers that one look tells of; those beyond are told of when these are gone. Some 60 KB. */
const MOST_STRANGERS = 100;

/** Expected containers that one look asks for by id at most; what is left is neither there nor absent. */
const MOST_ASKED = 500;

/** Containers that are asked for at a time. */
const AT_A_TIME = 8;

/** What a look needs of a node's Docker daemon; `adapters/docker` says what each promises. */
export interface ContainerRegister {
  listContainers(): Promise<readonly SeenContainer[]>;
  findContainer(id: string): Promise<object | undefined>;
  checkHealth(): Promise<{ readonly kind: string }>;
}

/**
 * Creates the activity that looks at what a node runs, for the reconciliation.
 *
 * Safe to run twice: it changes nothing. An answer counts only between two signs that the daemon works, since one whose
 * containerd hangs answers all the same. A container that cannot be asked for is neither there nor absent.
 */
export function createLookAtContainers(instance: string, docker: ContainerRegister): LookActivities {
  const isHealthy = async (): Promise<boolean> => (await docker.checkHealth()).kind === 'healthy';
  const isAbsent = async (id: string): Promise<boolean> =>
    await docker.findContainer(id).then(
      (found) => found === undefined,
      // Anything but a clear answer proves nothing.
      () => false,
    );
  const look = async (expected: readonly string[]): Promise<NodeSight> => {
    if (!(await isHealthy())) return { kind: 'silent' };
    const listed = await docker.listContainers();
    const ids = new Set(listed.map(({ id }) => id));
    const unlisted = expected.filter((id) => !ids.has(id)).slice(0, MOST_ASKED);
    const absent: string[] = [];
    for (let from = 0; from < unlisted.length; from += AT_A_TIME) {
      const batch = unlisted.slice(from, from + AT_A_TIME);
      const answers = await Promise.all(batch.map(isAbsent));
      absent.push(...batch.filter((_, index) => answers[index]));
    }
    if (!(await isHealthy())) return { kind: 'silent' };
    const known = new Set(expected);
    const strangers = listed.filter(({ id }) => !known.has(id)).slice(0, MOST_STRANGERS);
    return { kind: 'seen', containers: strangers, absent };
  };
  return {
    lookAtContainers: ({ expected }) =>
      withHeartbeats({ step: 'look' }, async () => ({ instance, sight: await look(expected) })),
  };
}
