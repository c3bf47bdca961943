import { Context } from '@temporalio/activity';
import type { RetentionScope, RetentionSweeps } from '../contracts/retention.ts';
import { withHeartbeats } from './heartbeats.ts';

/** Goes through one page; `onProgress` is called between its steps, and may throw to end it. */
export type SweepPage = (
  scope: RetentionScope,
  options: { readonly place: string; readonly onProgress: () => void },
) => Promise<string | null>;

/**
 * Creates the activity that goes through a page of the control database.
 *
 * Safe to run twice: what was removed is gone, and was counted with its removal. A cancel is obeyed between two steps.
 */
export function createSweepDatabase(sweep: SweepPage): RetentionSweeps {
  return {
    sweepDatabase: ({ place, ...scope }) =>
      withHeartbeats({ step: 'database', place }, async () => {
        const { cancellationSignal } = Context.current();
        return { place: await sweep(scope, { place, onProgress: () => cancellationSignal.throwIfAborted() }) };
      }),
  };
}
