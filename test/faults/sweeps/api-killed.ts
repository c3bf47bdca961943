import type { Moment } from '../fault-rules.ts';
import { type Arm, harmOperation } from '../harmed-operation.ts';
import type { Lane } from '../lane.ts';
import { OPERATION_NAMES } from '../operations.ts';
import type { Point, Sweep } from '../sweep.ts';

/** The call that tells a workflow of an operation that is stored, and starts it where it does not run. */
const TELLING = /\/SignalWithStartWorkflowExecution$/;

const HOOKS: readonly (readonly [name: string, at: Moment])[] = [
  ['stored, and nobody told', 'arrived'],
  ['told, no answer', 'sent'],
  ['told, no reply', 'answered'],
];

/** Kills the API around the call that follows what it stores; the client repeats its request with the same key. */
export const sweep: Sweep = {
  name: 'api-killed',
  about: 'kill -9 of the API before, while and after it hands an operation over; a repeated request is one operation',
  sampled: 2,
  atATime: 1,
  points: async (bed) => {
    const unharmed = await bed.unharmed(OPERATION_NAMES);
    return OPERATION_NAMES.flatMap((operation) =>
      HOOKS.map(
        ([name, at], life): Point => ({
          name: `${operation}, ${name}`,
          life,
          run: (lane: Lane) => harmOperation(lane, { operation, unharmed, arm: killAt(at) }),
        }),
      ),
    );
  },
};

function killAt(at: Moment): Arm {
  return ({ lane: { platform } }) => {
    let struckAt: number | undefined;
    const strike = (): void => {
      struckAt = performance.now();
      platform.processes.kill('api');
    };
    const takeAway = platform.ways.apiToTemporal.add({
      calls: TELLING,
      fault: { kind: 'strike', at, strike },
      times: 1,
    });
    return { struckAt: () => struckAt, disarm: async () => takeAway() };
  };
}
