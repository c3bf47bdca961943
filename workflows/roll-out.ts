import { CancellationScope, log } from '@temporalio/workflow';
import type { PendingOperation } from '../contracts/deployment.ts';
import type { RolloutTiming } from '../contracts/timing.ts';
import { store } from './activity-stubs.ts';
import { tellCarried } from './carry-volumes.ts';
import { converge, type Rollout, track } from './converge.ts';
import { ensureImages } from './ensure-images.ts';
import { toOperationFailure } from './failures.ts';
import { planRollout } from './read-source.ts';
import type { Words } from './words.ts';

/** What somebody who cancels still waits for: ordinary requests of what is taken back have ended by then. */
const CANCELLED_DRAIN_MS = 2_000;

/** One operation to be carried out. */
export interface OperationRun {
  readonly deploymentId: string;
  readonly operation: PendingOperation;
  readonly timing: RolloutTiming;
  readonly words: Words;
}

/**
 * Carries one operation out: read its repository, where that says what there is → plan and reserve → make the images present → start what is new → wait until it is healthy
 * → switch the routes → observe the ingress serving it → drain and remove what is old → record.
 *
 * A phase of the `deployment` workflow, in its history. The same loop (`converge`) leads to the goal and, after a failure
 * or a cancel, back to what was before it, from whatever there is then; so nothing has to remember what to undo. Once
 * the last of what is old is being removed there is no way back, and the rest is finished even when cancelled. Ends with
 * the operation recorded either way.
 */
export async function rollOut(run: OperationRun): Promise<void> {
  const { deploymentId, operation, timing, words } = run;
  const ref = { deploymentId, operationId: operation.operationId };
  let rollout: Rollout | undefined;
  try {
    const plan = await planRollout(ref, timing);
    rollout = track({ ref, plan, timing, words });
    await ensureImages(rollout);
    await converge(rollout);
    const reached = rollout;
    await CancellationScope.nonCancellable(async () => {
      await store.finishOperation(ref);
      await tellCarried(reached);
    });
  } catch (error) {
    await CancellationScope.nonCancellable(async () => {
      const failure = toOperationFailure(error, words.cancelReason);
      await goBack(run, rollout, failure.code === 'CANCELLED');
      await store.failOperation({ ...ref, failure });
      if (rollout) await tellCarried(rollout);
    });
  }
}

/** What cannot be brought back shows in the deployment's state, which follows from what runs. */
async function goBack({ deploymentId, operation, timing }: OperationRun, from: Rollout | undefined, hurry: boolean) {
  const ref = { deploymentId, operationId: operation.operationId };
  const unused = from?.unstarted.map(({ replicaId }) => replicaId) ?? [];
  const drainMs = hurry ? Math.min(timing.drainMs, CANCELLED_DRAIN_MS) : timing.drainMs;
  try {
    const plan = await store.planReturn({ ...ref, unused });
    const back = track({ ref, plan, timing: { ...timing, drainMs }, batch: from?.batch ?? 0 });
    await ensureImages(back);
    await converge(back);
  } catch (error) {
    log.warn('what was before the operation could not be brought back', { error: toOperationFailure(error).message });
  }
}
