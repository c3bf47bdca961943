import { sql } from 'kysely';
import type { SnapshotRecords } from '../../contracts/volumes.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { MAX_MESSAGE_LENGTH, toStorableText } from './events.ts';
import { findEnd, findWriter, lookBack } from './volume-writer.ts';

/** Creates what the workflows of snapshots write by. Running one again after it was committed changes nothing. */
export function createSnapshotRecords(db: Database, { kept }: { readonly kept: number }): SnapshotRecords {
  return {
    findWriter: ({ volumeId }) => findWriter(db, volumeId),
    findEnd: ({ operationId }) => findEnd(db, operationId),
    lookBack: (since) => lookBack(db, since),
    finishSnapshot: async ({ snapshotId, sizeBytes, sha256 }) => {
      await db.transaction().execute(async (tx) => {
        const finished = await tx
          .updateTable('volume_snapshots')
          .set({ state: 'succeeded', size_bytes: sizeBytes, sha256, finished_at: sql<Date>`now()` })
          .where('id', '=', snapshotId)
          .where('state', '=', 'running')
          .returning('volume_id as volumeId')
          .executeTakeFirst();
        if (finished) await doomExcess(tx, finished.volumeId, kept);
      });
    },
    failSnapshot: async ({ snapshotId, failure: { code, message } }) => {
      const error = { error_code: code, error_message: toStorableText(message, MAX_MESSAGE_LENGTH) };
      await db
        .updateTable('volume_snapshots')
        .set({ state: 'failed', ...error, finished_at: sql<Date>`now()` })
        .where('id', '=', snapshotId)
        .where('state', '=', 'running')
        .execute();
    },
    endRestore: async ({ volumeId, failure }) => {
      const error = failure && toStorableText(`${failure.code}: ${failure.message}`, MAX_MESSAGE_LENGTH);
      await db
        .updateTable('volumes')
        .set(error === null ? { restoring_from: null, restore_error: null } : { restore_error: error })
        .where('id', '=', volumeId)
        .where('restoring_from', 'is not', null)
        .where('restore_error', 'is', null)
        .execute();
    },
  };
}

/** Of those that succeeded the newest are kept, so never none; those that failed go with what they left. */
async function doomExcess(tx: DatabaseTransaction, volumeId: string, kept: number): Promise<void> {
  const newest = tx
    .selectFrom('volume_snapshots')
    .select('id')
    .where('volume_id', '=', volumeId)
    .where('state', '=', 'succeeded')
    .where('removing', '=', false)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(kept);
  await tx
    .updateTable('volume_snapshots')
    .set({ removing: true })
    .where('volume_id', '=', volumeId)
    .where('state', '<>', 'running')
    .where('id', 'not in', newest)
    .where('id', 'not in', inRestores(tx))
    .execute();
}

/** Snapshots that a volume is being made of: their file is being read. */
function inRestores(tx: DatabaseTransaction) {
  return tx
    .selectFrom('volumes')
    .select('restoring_from')
    .where('restoring_from', 'is not', null)
    .where('restore_error', 'is', null)
    .$narrowType<{ restoring_from: string }>();
}
