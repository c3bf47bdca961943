import { Context } from '@temporalio/activity';
import type { KeyActivities, RewrapInput } from '../contracts/keys.ts';
import { addParts, type RotationPart } from '../domain/key-rotation.ts';
import { withHeartbeats } from './heartbeats.ts';

/** Data keys in one transaction: their rows are locked for some ten milliseconds. */
const BATCH = 100;

/** Data keys in one run of the activity: with 100,000 organizations a history stays at some hundred events. */
const MOST = 5_000;

/** Wraps data keys by another master key. */
export interface KeyRewrapper {
  /**
   * Wraps up to `limit` data keys behind a place in one transaction, and counts them in the rotation's record.
   *
   * @throws CONFIGURATION when this process does not have the wanted master key.
   */
  rewrapBatch(input: RewrapInput & { readonly limit: number }): Promise<RotationPart>;
}

/**
 * Creates the activity that wraps data keys anew.
 *
 * Safe to run twice, and at the same time: a batch is one transaction, and passes by what the wanted key wraps
 * already. Heartbeats tell how many it has wrapped; cancelling it ends it between two batches. Final is only that this
 * process does not have the wanted master key.
 */
export function createRewrapKeys(keys: KeyRewrapper): Pick<KeyActivities, 'rewrapKeys'> {
  return {
    rewrapKeys: ({ after, ...rotation }) =>
      withHeartbeats({ rewrapped: '0' }, async ({ report }) => {
        const { cancellationSignal } = Context.current();
        let part: RotationPart = { rewrapped: 0, refused: [], next: after };
        for (let taken = 0; taken < MOST; taken += BATCH) {
          cancellationSignal.throwIfAborted();
          part = addParts(part, await keys.rewrapBatch({ ...rotation, after: part.next, limit: BATCH }));
          report({ rewrapped: String(part.rewrapped) });
          if (part.next === null) return part;
        }
        return part;
      }),
  };
}
