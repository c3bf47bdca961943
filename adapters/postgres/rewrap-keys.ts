import { type SqlBool, sql } from 'kysely';
import type { KeyRewrapper } from '../../activities/rewrap-keys.ts';
import { DomainError } from '../../domain/errors.ts';
import { addParts, type KeyPosition, type RotationPart } from '../../domain/key-rotation.ts';
import { tryRewrapDataKey } from '../sealing/data-keys.ts';
import type { Keyring, NamedKey } from '../sealing/keyring.ts';
import type { Database, DatabaseTransaction } from './database.ts';

type Batch = Parameters<KeyRewrapper['rewrapBatch']>[0];

/** Creates what wraps stored data keys by another master key. */
export function createKeyRewrapper(db: Database, masterKeys: Keyring): KeyRewrapper {
  return {
    rewrapBatch: async (batch) => {
      const key = masterKeys.find(batch.masterKeyId);
      if (!key) throw notThere(batch.masterKeyId, masterKeys);
      const by = { id: batch.masterKeyId, key };
      return await db.transaction().execute(async (tx) => {
        const part = await rewrapRows(tx, masterKeys, by, batch);
        await countRewrapped(tx, batch.rotationId, part.rewrapped);
        return part;
      });
    },
  };
}

/** Readers never wait for the locks: they only keep two rotations, or a renewal, from the same rows. */
async function rewrapRows(
  tx: DatabaseTransaction,
  masterKeys: Keyring,
  by: NamedKey,
  { after, limit }: Batch,
): Promise<RotationPart> {
  const rows = await tx
    .selectFrom('organization_keys')
    .select(['organization_id as organizationId', 'version', 'wrapped_key as wrappedKey'])
    .where('master_key_id', '<>', by.id)
    .$if(after !== null, (query) => (after ? query.where(isBehind(after)) : query))
    .orderBy('organization_id')
    .orderBy('version')
    .limit(limit)
    .forNoKeyUpdate()
    .execute();
  let part: RotationPart = { rewrapped: 0, refused: [], next: null };
  for (const { wrappedKey, ...ref } of rows) {
    const outcome = tryRewrapDataKey(masterKeys, by, ref, wrappedKey);
    if (!('wrappedKey' in outcome)) {
      part = addParts(part, { rewrapped: 0, refused: [{ ...outcome, count: 1 }], next: null });
      continue;
    }
    await tx
      .updateTable('organization_keys')
      .set({ wrapped_key: outcome.wrappedKey })
      .where('organization_id', '=', ref.organizationId)
      .where('version', '=', ref.version)
      .execute();
    part = addParts(part, { rewrapped: 1, refused: [], next: null });
  }
  const last = rows.at(-1);
  const isEnd = rows.length < limit || !last;
  return { ...part, next: isEnd ? null : { organizationId: last.organizationId, version: last.version } };
}

function isBehind({ organizationId, version }: KeyPosition) {
  return sql<SqlBool>`(organization_id, version) > (${organizationId}::uuid, ${version}::integer)`;
}

/** In the same transaction, so that it counts each data key once, whatever is killed and repeated. */
async function countRewrapped(tx: DatabaseTransaction, rotationId: string, rewrapped: number): Promise<void> {
  if (rewrapped === 0) return;
  await tx
    .updateTable('key_rotations')
    .set(({ eb }) => ({ rewrapped: eb('rewrapped', '+', rewrapped) }))
    .where('id', '=', rotationId)
    .execute();
}

function notThere(masterKeyId: string, { ids }: Keyring): DomainError {
  const message = `cannot wrap data keys by master key ${masterKeyId}: this orchestrator has ${ids.join(', ')}`;
  return new DomainError('CONFIGURATION', message, {
    hint: 'Give every orchestrator the file of master keys that the API has, start it again, and rotate again.',
  });
}
