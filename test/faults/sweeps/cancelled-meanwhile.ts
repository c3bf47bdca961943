import { deploymentWorkflowId } from '../../../contracts/deployment.ts';
import { eventually } from '../../support/eventually.ts';
import { lossesOf, probe, servesThroughout, untilAlike } from '../harmed-operation.ts';
import { lastEventId, untilEvent } from '../history.ts';
import type { Lane } from '../lane.ts';
import { goOn, letLeave, reach } from '../life.ts';
import { DISTINCT_OPERATIONS, type OperationName, versionOf, wantedAfter } from '../operations.ts';
import { ask, codeOf, keyFor, operationIdOf, untilEnded } from '../subject.ts';
import { observeSubject, type SubjectState } from '../subject-state.ts';
import type { Point, PointOutcome, Sweep } from '../sweep.ts';
import { untilAsWanted } from '../wanted-state.ts';

/** Lives that the points of one operation are spread over, so that several lanes can work on them. */
const SHARES = 2;

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
    const { of } = await bed.unharmed(DISTINCT_OPERATIONS);
    return DISTINCT_OPERATIONS.filter((name) => name !== 'delete').flatMap((operation, place) =>
      of(operation).commits.map(
        ({ first, last }, index): Point => ({
          name: `${operation}, events ${first} to ${last}`,
          life: SHARES * place + (index % SHARES),
          run: (lane: Lane) => cancelAt(lane, { operation, event: last }),
        }),
      ),
    );
  },
};

async function cancelAt(
  lane: Lane,
  { operation, event }: { operation: OperationName; event: number },
): Promise<PointOutcome> {
  const { temporal } = lane.platform;
  const life = await reach(lane, DISTINCT_OPERATIONS, operation);
  const { subject, done } = life;
  const isFirst = done.length === 0;
  const eventsBefore = await lastEventId(temporal, deploymentWorkflowId(subject.id));
  const before = isFirst ? NOTHING : toEffects(await observeSubject(lane, subject));
  const prober = servesThroughout(operation, done, subject) ? probe(lane, subject) : undefined;
  const key = keyFor(operation, subject);
  const operationId = operationIdOf(subject, key);
  const watch = new AbortController();
  const reached = untilEvent(temporal, deploymentWorkflowId(subject.id), {
    id: eventsBefore + event,
    signal: watch.signal,
  });
  const asked = ask(lane, subject, { operation, version: versionOf(operation), key });
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
    : await untilAsWanted(lane, subject, { wanted: wantedAfter([...done, operation], subject) });
  const recoveryMs = isCancelled ? performance.now() - cancelledAt : null;
  const breaks = lossesOf(await prober?.stop());
  const failures = [
    ...differences,
    ...(isCancelled || state === 'succeeded' ? [] : [`it ${state}`]),
    ...(isInTime || !isCancelled ? [] : ['it is cancelled although the cancel was refused']),
  ];
  // Where all is as before it is cancelled again, at another event.
  if (isCancelled && !isFirst && failures.length + breaks.length === 0) goOn(lane, life);
  else letLeave(lane, subject);
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
