import { deploymentWorkflowId } from '../../../contracts/deployment.ts';
import { eventually } from '../../support/eventually.ts';
import {
  letLeave,
  lossesOf,
  probe,
  servesThroughout,
  untilAlike,
  untilLike,
  untilOthersLeft,
  untilQuiet,
} from '../harmed-operation.ts';
import { lastEventId, untilEvent } from '../history.ts';
import type { Lane } from '../lane.ts';
import { DISTINCT_OPERATIONS, OPERATIONS, type OperationName } from '../operations.ts';
import { aSubject, ask, codeOf, keyFor, operationIdOf, prepare, untilEnded } from '../subject.ts';
import { observeSubject, type SubjectState } from '../subject-state.ts';
import type { Point, PointOutcome, Sweep, Unharmed } from '../sweep.ts';

/** What must be again as it was once an operation has been cancelled: all but the record of it. */
type Effects = Pick<SubjectState, 'containers' | 'replicas' | 'workflow' | 'answer'>;

/** Cancels each operation after each of its events: what was before it serves on, and nothing is left of it. */
export const sweep: Sweep = {
  name: 'cancelled-meanwhile',
  about:
    'a cancel after each history event; what was before serves again without a lost request, and nothing else is left',
  sampled: 2,
  atATime: 1,
  points: async (bed) => {
    const points: Point[] = [];
    for (const operation of DISTINCT_OPERATIONS.filter((name) => name !== 'delete')) {
      const unharmed = await bed.unharmed(operation);
      for (const { first, last } of unharmed.commits) {
        points.push({
          name: `${operation}, events ${first} to ${last}`,
          run: (lane: Lane) => cancelAt(lane, { operation, event: last, unharmed }),
        });
      }
    }
    return points;
  },
};

async function cancelAt(
  lane: Lane,
  { operation, event, unharmed }: { operation: OperationName; event: number; unharmed: Unharmed },
): Promise<PointOutcome> {
  const { temporal } = lane.platform;
  const subject = aSubject(lane);
  const version = await prepare(lane, subject, operation);
  await untilQuiet(lane, subject);
  await untilOthersLeft(lane);
  const isFirst = OPERATIONS[operation].after.length === 0;
  const eventsBefore = isFirst ? 0 : await lastEventId(temporal, deploymentWorkflowId(subject.id));
  const before = isFirst ? NOTHING : toEffects(await observeSubject(lane, subject));
  const prober = servesThroughout(operation, subject) ? probe(lane, subject) : undefined;
  const key = keyFor(operation, subject);
  const operationId = operationIdOf(subject, key);
  const watch = new AbortController();
  const reached = untilEvent(temporal, deploymentWorkflowId(subject.id), {
    id: eventsBefore + event,
    signal: watch.signal,
  });
  const asked = ask(lane, subject, { operation, version, key });
  const ended = asked.then(() => untilEnded(lane, subject, operationId));
  const isReached = (await Promise.race([reached, ended.then(() => undefined)])) !== undefined;
  watch.abort();
  const cancelledAt = performance.now();
  const isInTime = await cancel(lane, operationId);
  await asked;
  const { state } = await untilEnded(lane, subject, operationId);
  const isCancelled = state === 'cancelled';
  const differences = isCancelled
    ? await untilAlike(lane, subject, before, toEffects)
    : await untilLike(lane, subject, unharmed.state);
  const recoveryMs = isCancelled ? performance.now() - cancelledAt : null;
  const breaks = lossesOf(await prober?.stop());
  letLeave(lane, subject);
  const failures = [
    ...differences,
    ...(isCancelled || state === 'succeeded' ? [] : [`it ${state}`]),
    ...(isInTime || !isCancelled ? [] : ['it is cancelled although the cancel was refused']),
  ];
  return { harmed: isReached || isInTime, recoveryMs, operations: 1, failures, breaks };
}

/** Where a deployment stands whose first operation was cancelled. Its name and its route stay, for the next one. */
const NOTHING: Partial<Effects> = { containers: {}, replicas: {}, workflow: 'RUNNING' };

function toEffects({ containers, replicas, workflow, answer }: SubjectState): Effects {
  return { containers, replicas, workflow, answer };
}

/** @returns whether it was accepted: the operation may have ended just before. */
async function cancel({ platform: { api } }: Lane, operationId: string): Promise<boolean> {
  const idempotencyKey = keyOf(operationId);
  return await eventually(
    async () => {
      try {
        await api.operations.cancelOperation({ idempotencyKey, operationId });
        return true;
      } catch (error) {
        if (codeOf(error) === 'OPERATION_ENDED') return false;
        // Before the operation is stored there is nothing yet that could be cancelled.
        throw error;
      }
    },
    { everyMs: 20 },
  );
}

function keyOf(operationId: string): string {
  return `cancel-${operationId}`;
}
