import type { Ways } from '../fault-platform.ts';
import type { Moment } from '../fault-rules.ts';
import { type Arm, type Armed, harmOperation, type Target } from '../harmed-operation.ts';
import type { Lane } from '../lane.ts';
import { DISTINCT_OPERATIONS, type OperationName } from '../operations.ts';
import type { Point, Sweep } from '../sweep.ts';

/** A place in an activity of the node at which its process is killed: a moment of one of its calls. */
interface SubStep {
  readonly name: string;
  readonly way: keyof Ways;
  readonly calls: RegExp;
  readonly at: Moment;
  /** A later call that has the id of this one's container in it, and is the real place. */
  readonly next?: (containerId: string) => RegExp;
}

const CREATE = /^POST [^?]*\/containers\/create/;
const START = /^POST [^?]*\/containers\/(\w+)\/start/;
const STOP = /^POST [^?]*\/containers\/(\w+)\/stop/;
const REMOVE = /^DELETE [^?]*\/containers\/(\w+)/;
const COMPLETION = /\/RespondActivityTaskCompleted$/;

/** Of `ensureReplica`, in its order. */
const STARTING: readonly SubStep[] = [
  { name: 'before create', way: 'docker', calls: CREATE, at: 'arrived' },
  { name: 'create sent, no reply', way: 'docker', calls: CREATE, at: 'sent' },
  { name: 'after create', way: 'docker', calls: CREATE, at: 'passed' },
  { name: 'before start', way: 'docker', calls: START, at: 'arrived' },
  { name: 'start sent, no reply', way: 'docker', calls: START, at: 'sent' },
  { name: 'after start', way: 'docker', calls: START, at: 'passed' },
  {
    name: 'before health',
    ...{ way: 'docker', calls: START, at: 'passed' },
    next: (id) => new RegExp(`^GET [^?]*/containers/${id}/json`),
  },
  { name: 'before completion', way: 'nodeToTemporal', calls: COMPLETION, at: 'arrived' },
  { name: 'completion sent, no reply', way: 'nodeToTemporal', calls: COMPLETION, at: 'answered' },
];

/** Of `removeReplica`, in its order. */
const REMOVING: readonly SubStep[] = [
  { name: 'before stop', way: 'docker', calls: STOP, at: 'arrived' },
  { name: 'stop sent, no reply', way: 'docker', calls: STOP, at: 'sent' },
  { name: 'after stop', way: 'docker', calls: STOP, at: 'passed' },
  { name: 'before remove', way: 'docker', calls: REMOVE, at: 'arrived' },
  { name: 'remove sent, no reply', way: 'docker', calls: REMOVE, at: 'sent' },
  { name: 'after remove', way: 'docker', calls: REMOVE, at: 'passed' },
];

/** Which activities an operation makes a node do. */
const DOES: Readonly<Partial<Record<OperationName, readonly SubStep[]>>> = {
  create: STARTING,
  update: [...STARTING, ...REMOVING],
  rollback: [...STARTING, ...REMOVING],
  delete: REMOVING,
};

const REPLICAS = ['first', 'second'] as const;

/**
 * Kills the node's process at each sub-step of what it does to a replica: the first one or the second, drawn for each.
 * The process is the real role; a proxy in front of its daemon, or of its Temporal server, sees the call and kills.
 */
export const sweep: Sweep = {
  name: 'node-killed',
  about: 'kill -9 of the node at each sub-step of starting and removing a replica; the next one adopts what is there',
  sampled: 2,
  atATime: 1,
  points: async (bed) => {
    const unharmed = await bed.unharmed(DISTINCT_OPERATIONS);
    return DISTINCT_OPERATIONS.flatMap((operation) =>
      (DOES[operation] ?? []).map((step, life): Point => {
        const skip = bed.random.integer(REPLICAS.length);
        return {
          name: `${operation}, ${step.name}, ${REPLICAS[skip]} replica`,
          life,
          run: (lane: Lane) => harmOperation(lane, { operation, unharmed, arm: killAt(step, skip) }),
        };
      }),
    );
  },
};

function killAt(step: SubStep, skip: number): Arm {
  return ({ lane: { platform } }: Target): Armed => {
    const way = platform.ways[step.way];
    const rules: (() => void)[] = [];
    let struckAt: number | undefined;
    const kill = (): void => {
      struckAt = performance.now();
      platform.processes.kill('node');
    };
    const strikeAt = (calls: RegExp, at: Moment, strike: (call: string) => void, skipped: number): void => {
      rules.push(way.add({ calls, fault: { kind: 'strike', at, strike }, skip: skipped, times: 1 }));
    };
    const { next } = step;
    if (next) {
      const arm = (call: string): void => strikeAt(next(step.calls.exec(call)?.[1] ?? ''), 'arrived', kill, 0);
      strikeAt(step.calls, step.at, arm, skip);
    } else {
      strikeAt(step.calls, step.at, kill, skip);
    }
    return {
      struckAt: () => struckAt,
      disarm: async () => {
        for (const takeAway of rules) takeAway();
      },
    };
  };
}
