import { setTimeout as delay } from 'node:timers/promises';
import { deploymentWorkflowId } from '../../../contracts/deployment.ts';
import { eventually } from '../../support/eventually.ts';
import { untilLike } from '../harmed-operation.ts';
import { lastEventId, untilEvent } from '../history.ts';
import type { Lane } from '../lane.ts';
import { reach } from '../life.ts';
import { DISTINCT_OPERATIONS, type OperationName, versionOf } from '../operations.ts';
import { ask, isGone, untilEnded } from '../subject.ts';
import { observeSubject } from '../subject-state.ts';
import type { Point, PointOutcome, Sweep, Unharmed } from '../sweep.ts';

/** The last events of an operation come just after its end was recorded. */
const LATE_EVENTS_MS = 3_000;

/** How an operation may end that something was deleted under: done before, taken back, or never begun. */
const ENDINGS = /^(succeeded|cancelled|superseded)$/;

/** Deletes the deployment after each event of each other operation. */
export const sweep: Sweep = {
  name: 'deleted-meanwhile',
  about: 'a delete after each history event of another operation; nothing is left, and each operation ends',
  sampled: 2,
  atATime: 1,
  points: async (bed) => {
    const unharmed = await bed.unharmed(DISTINCT_OPERATIONS);
    const deleted = unharmed.of('delete');
    return DISTINCT_OPERATIONS.filter((name) => name !== 'delete').flatMap((operation) =>
      unharmed.of(operation).commits.map(
        ({ first, last }): Point => ({
          name: `${operation}, events ${first} to ${last}`,
          run: (lane: Lane) => deleteAt(lane, { operation, event: last, deleted }),
        }),
      ),
    );
  },
};

async function deleteAt(
  lane: Lane,
  { operation, event, deleted }: { operation: OperationName; event: number; deleted: Unharmed },
): Promise<PointOutcome> {
  const { temporal } = lane.platform;
  const { subject } = await reach(lane, DISTINCT_OPERATIONS, operation);
  const before = await lastEventId(temporal, deploymentWorkflowId(subject.id));
  const watch = new AbortController();
  const reached = untilEvent(temporal, deploymentWorkflowId(subject.id), { id: before + event, signal: watch.signal });
  // Its answer is read after the delete, so it may be that the deployment is gone.
  const asked = ask(lane, subject, { operation, version: versionOf(operation) }).catch((error: unknown) => {
    if (!isGone(error)) throw error;
  });
  const isReached = await Promise.race([reached, asked.then(() => ended(lane, subject.id, LATE_EVENTS_MS))]);
  watch.abort();
  const deletedAt = performance.now();
  // Before the operation is stored there is nothing yet that could be deleted.
  const removal = await eventually(() => ask(lane, subject, { operation: 'delete', version: versionOf('delete') }), {
    everyMs: 20,
  });
  const end = await untilEnded(lane, subject, removal.operationId);
  const recoveryMs = performance.now() - deletedAt;
  await asked;
  const { operations, ...wanted } = deleted.state;
  const differences = await untilLike(lane, subject, wanted);
  const found = await observeSubject(lane, subject);
  const others = found.operations.slice(0, -1).map((text) => text.split(' ').slice(2).join(' '));
  const failures = [
    ...differences,
    ...(end.state === 'succeeded' ? [] : [`the delete ${end.state} ${end.code}`]),
    ...others.filter((ending) => !ENDINGS.test(ending)).map((ending) => `an operation under it is "${ending}"`),
  ];
  return { harmed: isReached !== undefined, recoveryMs, operations: 2, failures, breaks: [] };
}

/** Resolves a little after all operations of a deployment have ended. */
async function ended({ platform: { db } }: Lane, deploymentId: string, laterMs: number): Promise<undefined> {
  await eventually(
    async () => {
      const open = await db
        .selectFrom('operations')
        .select('id')
        .where('deployment_id', '=', deploymentId)
        .where('state', 'in', ['queued', 'running', 'waiting'])
        .execute();
      if (open.length > 0) throw new Error('an operation is open');
    },
    { patienceMs: 120_000 },
  );
  await delay(laterMs, undefined, { ref: false });
  return undefined;
}
