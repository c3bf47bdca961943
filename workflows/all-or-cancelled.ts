import { CancellationScope } from '@temporalio/workflow';
import { toOperationFailure } from './failures.ts';

/** Runs all; when one fails the others are cancelled and waited for, so that nothing acts after the way back began. */
export async function allOrCancelled(tasks: readonly (() => Promise<void>)[]): Promise<void> {
  await CancellationScope.cancellable(async () => {
    const scope = CancellationScope.current();
    const running = tasks.map((task) =>
      task().catch((error: unknown) => {
        scope.cancel();
        throw error;
      }),
    );
    const outcomes = await Promise.allSettled(running);
    const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
    if (failures.length > 0)
      throw failures.find((failure) => toOperationFailure(failure).code !== 'CANCELLED') ?? failures[0];
  });
}
