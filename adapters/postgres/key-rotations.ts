import { sql } from 'kysely';
import type { KeyActivities } from '../../contracts/keys.ts';
import type { OperationFailure } from '../../contracts/rollout.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { MAX_MESSAGE_LENGTH, toStorableText } from './events.ts';

/** Rotations that are remembered. */
const KEPT = 100;
const MAX_HINT_LENGTH = 1024;

/** A rotation of the master key, as it stands. */
export interface RotationRecord {
  readonly id: string;
  readonly masterKeyId: string;
  readonly state: 'running' | 'succeeded' | 'failed';
  /** Data keys that it has wrapped by the master key. */
  readonly rewrapped: number;
  readonly actorUserId: string;
  /** Set when it failed. */
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  readonly errorHint: string | null;
  readonly createdAt: Date;
  readonly finishedAt: Date | null;
}

/** How many data keys a master key wraps. */
export interface MasterKeyUse {
  readonly masterKeyId: string;
  readonly dataKeys: number;
}

/** Creates what the rotation's workflow records by. Each is one transaction, and running it again changes nothing. */
export function createRotationRecords(db: Database): Pick<KeyActivities, 'beginRotation' | 'endRotation'> {
  return {
    beginRotation: ({ rotationId: id, masterKeyId, actorUserId }) =>
      db.transaction().execute(async (tx) => {
        const known = await tx.selectFrom('key_rotations').select('state').where('id', '=', id).executeTakeFirst();
        if (known) return { open: known.state === 'running' };
        await end(tx, ABANDONED);
        const row = { id, master_key_id: masterKeyId, state: 'running', actor_user_id: actorUserId } as const;
        await tx.insertInto('key_rotations').values(row).execute();
        await forgetOldest(tx);
        return { open: true };
      }),
    endRotation: ({ rotationId, failure }) => end(db, failure, rotationId),
  };
}

/** There is one workflow at a time: what another one left open was ended from outside. */
const ABANDONED: OperationFailure = { code: 'CANCELLED', message: 'its workflow was ended from outside', hint: '' };

/** Ends the rotation that is running, if it is this one. */
async function end(db: Database | DatabaseTransaction, failure: OperationFailure | null, id?: string): Promise<void> {
  const error = failure && {
    error_code: failure.code,
    error_message: toStorableText(failure.message, MAX_MESSAGE_LENGTH),
    error_hint: toStorableText(failure.hint, MAX_HINT_LENGTH),
  };
  await db
    .updateTable('key_rotations')
    .set({ state: failure ? 'failed' : 'succeeded', finished_at: sql<Date>`now()`, ...error })
    .where('state', '=', 'running')
    .$if(id !== undefined, (query) => query.where('id', '=', id ?? ''))
    .execute();
}

async function forgetOldest(tx: DatabaseTransaction): Promise<void> {
  const newest = tx.selectFrom('key_rotations').select('id').orderBy('sequence', 'desc').limit(KEPT);
  await tx.deleteFrom('key_rotations').where('id', 'not in', newest).execute();
}

const COLUMNS = [
  'id',
  'master_key_id as masterKeyId',
  'state',
  'rewrapped',
  'actor_user_id as actorUserId',
  'error_code as errorCode',
  'error_message as errorMessage',
  'error_hint as errorHint',
  'created_at as createdAt',
  'finished_at as finishedAt',
] as const;

/** Finds one rotation; without an id the newest. */
export async function findRotation(db: Database, id?: string): Promise<RotationRecord | undefined> {
  return await db
    .selectFrom('key_rotations')
    .select(COLUMNS)
    .$if(id !== undefined, (query) => query.where('id', '=', id ?? ''))
    .orderBy('sequence', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** Master keys that any process of the last years may have had. */
const MOST_MASTER_KEYS = 100;

/** Counts the data keys that each master key wraps. One that wraps none is not listed. */
export async function countMasterKeyUse(db: Database): Promise<MasterKeyUse[]> {
  return await db
    .selectFrom('organization_keys')
    .select(({ fn }) => ['master_key_id as masterKeyId', fn.countAll<number>().as('dataKeys')])
    .groupBy('master_key_id')
    .orderBy('master_key_id')
    .limit(MOST_MASTER_KEYS)
    .execute();
}
