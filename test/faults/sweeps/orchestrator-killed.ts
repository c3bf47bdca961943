import { setTimeout as delay } from 'node:timers/promises';
import { deploymentWorkflowId } from '../../../contracts/deployment.ts';
import { type Arm, harmOperation } from '../harmed-operation.ts';
import { untilEvent } from '../history.ts';
import type { Lane } from '../lane.ts';
import { DISTINCT_OPERATIONS } from '../operations.ts';
import type { Point, Sweep } from '../sweep.ts';

/** The last events of an operation come just after its end was recorded. */
const LATE_EVENTS_MS = 3_000;

/**
 * Kills the orchestrator after each event of each operation. Events that the server stores together appear at one
 * moment, so they are one point.
 *
 * The orchestrator that is killed is the real role, run and started again by the real supervisor. A start takes 2 to
 * 5 s, and the Temporal server takes 5 s to give up on the worker that has gone, so keeping a second one warm would
 * gain nothing; points per minute come from several platforms side by side, which wait at the same time.
 */
export const sweep: Sweep = {
  name: 'orchestrator-killed',
  about: 'kill -9 of the orchestrator after each history event; another one ends the operation as if nothing had been',
  sampled: 2,
  atATime: 1,
  isTimed: true,
  points: async (bed) => {
    const unharmed = await bed.unharmed(DISTINCT_OPERATIONS);
    return DISTINCT_OPERATIONS.flatMap((operation) =>
      unharmed.of(operation).commits.map(
        ({ first, last }, life): Point => ({
          name: `${operation}, events ${first} to ${last}`,
          life,
          run: (lane: Lane) => harmOperation(lane, { operation, unharmed, arm: killAtEvent(last) }),
        }),
      ),
    );
  },
};

function killAtEvent(event: number): Arm {
  return ({ lane: { platform }, subject, eventsBefore }) => {
    const watch = new AbortController();
    let struckAt: number | undefined;
    const struck = untilEvent(platform.temporal, deploymentWorkflowId(subject.id), {
      id: eventsBefore + event,
      signal: watch.signal,
    }).then((seen) => {
      if (!seen) return;
      struckAt = performance.now();
      platform.processes.kill('orchestrator');
    });
    return {
      struckAt: () => struckAt,
      disarm: async () => {
        await Promise.race([struck, delay(LATE_EVENTS_MS, undefined, { ref: false })]);
        watch.abort();
        await struck;
      },
    };
  };
}
