import { setTimeout as delay } from 'node:timers/promises';
import { deploymentWorkflowId } from '../../../contracts/deployment.ts';
import { type Arm, harmOperation } from '../harmed-operation.ts';
import { untilEvent } from '../history.ts';
import type { Lane } from '../lane.ts';
import { OPERATION_NAMES } from '../operations.ts';
import type { Point, Sweep } from '../sweep.ts';

/** Less than the silence after which a node counts as dead; longer than that of a workflow task or a look at the ingress. */
const HALT_MS = 6_000;

/** One process and what is done to it. The roles are killed at every place by sweeps of their own. */
interface Harm {
  readonly process: string;
  readonly kind: 'killed' | 'halted';
  /** Whether requests to applications go through it. */
  readonly carriesRequests?: boolean;
}

/** How many operations of one life are drawn for each. */
const OPERATIONS_EACH = 3;

const HARMS: readonly Harm[] = [
  { process: 'postgres', kind: 'killed' },
  { process: 'temporal', kind: 'killed' },
  { process: 'traefik', kind: 'killed', carriesRequests: true },
  { process: 'postgres', kind: 'halted' },
  { process: 'temporal', kind: 'halted' },
  { process: 'traefik', kind: 'halted', carriesRequests: true },
  { process: 'api', kind: 'halted' },
  { process: 'orchestrator', kind: 'halted' },
  { process: 'node', kind: 'halted' },
];

/** Kills the servers, and halts every process for a while, at a drawn moment of each operation. */
export const sweep: Sweep = {
  name: 'processes-harmed',
  about: 'kill -9 of each server, and a halt of each process, at a drawn event; what runs goes on serving',
  sampled: 1,
  atATime: 1,
  points: async (bed) => {
    const unharmed = await bed.unharmed(OPERATION_NAMES);
    return HARMS.flatMap((harm, life) => {
      const drawn = bed.random.sample(OPERATION_NAMES, OPERATIONS_EACH);
      return OPERATION_NAMES.filter((operation) => drawn.includes(operation)).map((operation): Point => {
        const { last } = bed.random.pick(unharmed.of(operation).commits);
        return {
          name: `${operation}, ${harm.process} ${harm.kind} after event ${last}`,
          life,
          run: (lane: Lane) => {
            const mayLose = harm.carriesRequests ?? false;
            return harmOperation(lane, { operation, unharmed, arm: harmAt(harm, last), mayLose });
          },
        };
      });
    });
  },
};

function harmAt({ process, kind }: Harm, event: number): Arm {
  return ({ lane: { platform }, subject, eventsBefore }) => {
    const { processes, temporal } = platform;
    const watch = new AbortController();
    let struckAt: number | undefined;
    const halt = async (): Promise<void> => {
      processes.freeze(process);
      await delay(HALT_MS);
      processes.thaw(process);
    };
    const struck = untilEvent(temporal, deploymentWorkflowId(subject.id), {
      id: eventsBefore + event,
      signal: watch.signal,
    }).then((seen) => {
      if (!seen) return undefined;
      struckAt = performance.now();
      if (kind === 'halted') return halt();
      processes.kill(process);
      return undefined;
    });
    return {
      struckAt: () => struckAt,
      disarm: async () => {
        // The last events of an operation come just after its end was recorded.
        await Promise.race([struck, delay(3_000, undefined, { ref: false })]);
        watch.abort();
        await struck;
      },
    };
  };
}
