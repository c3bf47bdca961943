import { randomBytes, randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { beforeEach, describe, expect, it } from 'vitest';
import { aTenant } from '../../test/support/control-data.ts';
import { createFirstSealing } from '../../test/support/data-keys.ts';
import { useTestDatabase } from '../../test/support/database.ts';
import { eventually } from '../../test/support/eventually.ts';
import { carryOutRotation } from '../../test/support/rotation.ts';
import { makeDataKey } from '../sealing/data-keys.ts';
import { createKeyring, type Keyring, keyId } from '../sealing/keyring.ts';
import { createSealing, type SealedSecret } from '../sealing/sealing.ts';
import { countMasterKeyUse, createRotationRecords, findRotation } from './key-rotations.ts';
import { createDataKeyStore, renewDataKey } from './organization-keys.ts';
import { createKeyRewrapper } from './rewrap-keys.ts';

const database = useTestDatabase();
const [OLD, NEW, STRANGE] = [randomBytes(32), randomBytes(32), randomBytes(32)];
const before = createKeyring(OLD);
const both = createKeyring(NEW, OLD);
const after = createKeyring(NEW);

beforeEach(async () => {
  await database.db.deleteFrom('organization_keys').execute();
  await database.db.deleteFrom('key_rotations').execute();
});

function aProcess(masterKeys: Keyring) {
  return createSealing({ masterKeys, store: createDataKeyStore(database.db) });
}

type Secret = SealedSecret & { readonly value: string };

/** A value of an organization of its own, or of the given one, as a process with these keys seals it. */
async function aSecret(masterKeys: Keyring, organizationId?: string): Promise<Secret> {
  const owner = {
    organizationId: organizationId ?? (await aTenant(database.db)).organizationId,
    owner: 'deployment 1',
  };
  const place = { ...owner, name: `V${randomUUID()}`, version: randomUUID() };
  const value = randomUUID();
  return { ...place, value, sealed: await aProcess(masterKeys).seal({ ...place, value }) };
}

async function expectReadable(masterKeys: Keyring, secrets: readonly Secret[]): Promise<void> {
  const sealing = aProcess(masterKeys);
  for (const { value, ...secret } of secrets) expect(await sealing.open(secret)).toBe(value);
}

function aCall(key = NEW) {
  return { rotationId: randomUUID(), masterKeyId: keyId(key), actorUserId: randomUUID() };
}

async function many<Item>(count: number, make: (index: number) => Promise<Item>): Promise<Item[]> {
  return await Promise.all(Array.from({ length: count }, (_, index) => make(index)));
}

describe('a rotation', () => {
  it('wraps every data key by the new master key, in batches, and counts each once', async () => {
    const secrets = await many(40, () => aSecret(before));
    const { organizationId = '' } = secrets[0] ?? {};
    const make = (version: number) => makeDataKey(before.present, { organizationId, version });
    await renewDataKey(database.db, {
      organizationId,
      make,
      idempotencyKey: randomUUID(),
      requestHash: 'a'.repeat(64),
    });
    secrets.push(await aSecret(before, organizationId));
    expect(await countMasterKeyUse(database.db)).toEqual([{ masterKeyId: keyId(OLD), dataKeys: 41 }]);

    const call = aCall();
    await carryOutRotation(database.db, both, call);
    expect(await findRotation(database.db, call.rotationId)).toMatchObject({
      ...{ state: 'succeeded', masterKeyId: keyId(NEW), rewrapped: 41, errorCode: null },
      finishedAt: expect.any(Date),
    });
    expect(await countMasterKeyUse(database.db)).toEqual([{ masterKeyId: keyId(NEW), dataKeys: 41 }]);
    await expectReadable(after, secrets);
    await expect(aProcess(before).open(secrets[0] as Secret)).rejects.toThrow(
      `it is wrapped by master key ${keyId(NEW)}, and this process has ${keyId(OLD)}`,
    );
  });

  it('wraps what the first version left', async () => {
    const { organizationId } = await aTenant(database.db);
    const first = createFirstSealing(OLD, organizationId);
    await createDataKeyStore(database.db).storeFirstDataKey({ organizationId, wrappedKey: first.wrappedKey });
    await carryOutRotation(database.db, both, aCall());
    const place = { organizationId, owner: 'deployment 1', name: 'TOKEN', version: undefined };
    expect(await aProcess(after).open({ ...place, sealed: first.seal('TOKEN', 'a value') })).toBe('a value');
  });

  it('loses nothing, and leaves nothing unreadable at any moment, while old and new processes seal and open', async () => {
    const secrets = await many(60, () => aSecret(before));
    const known = secrets.map(({ organizationId }) => organizationId);
    const atWork = async (masterKeys: Keyring): Promise<void> => {
      for (let turn = 0; turn < 25; turn += 1) {
        const secret = await aSecret(masterKeys, turn % 2 === 0 ? known[turn % known.length] : undefined);
        secrets.push(secret);
        // A process that has just started: nothing of it is in memory.
        await expectReadable(both, [secret, secrets[(turn * 7) % secrets.length] as Secret]);
      }
    };
    const preparing = createKeyring(OLD, NEW);
    const rotate = carryOutRotation(database.db, both, aCall(), 3);
    await Promise.all([rotate, atWork(preparing), atWork(preparing), atWork(both)]);

    await expectReadable(both, secrets);
    // What processes that still write by the old key made during the last pass, the next rotation finds.
    await carryOutRotation(database.db, both, aCall());
    expect(await countMasterKeyUse(database.db)).toMatchObject([{ masterKeyId: keyId(NEW) }]);
    await expectReadable(after, secrets);
  });

  it('goes on after it was killed in the middle of a batch, of which nothing is left', async () => {
    const secrets = await many(20, () => aSecret(before));
    const call = aCall();
    await createRotationRecords(database.db).beginRotation(call);
    const { rewrapBatch } = createKeyRewrapper(database.db, both);
    const { next } = await rewrapBatch({ ...call, after: null, limit: 5 });
    await database.db.transaction().execute(async (tx) => {
      // The last statement of a batch counts what it has changed.
      await tx.selectFrom('key_rotations').selectAll().forUpdate().execute();
      const killed = rewrapBatch({ ...call, after: next, limit: 5 });
      killed.catch(() => undefined);
      await eventually(async () => {
        const { rows } = await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock'`.execute(database.db);
        expect(rows).toHaveLength(1);
      });
      await expect(killed).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    });
    expect(await countMasterKeyUse(database.db)).toContainEqual({ masterKeyId: keyId(NEW), dataKeys: 5 });

    await carryOutRotation(database.db, both, call);
    expect(await findRotation(database.db)).toMatchObject({ id: call.rotationId, state: 'succeeded', rewrapped: 20 });
    await expectReadable(after, secrets);
  });

  it('run twice at the same time changes each data key once', async () => {
    const secrets = await many(30, () => aSecret(before));
    const { rotationId, masterKeyId } = aCall();
    await createRotationRecords(database.db).beginRotation({ rotationId, masterKeyId, actorUserId: randomUUID() });
    const { rewrapBatch } = createKeyRewrapper(database.db, both);
    const runs = await many(4, async () => {
      let rewrapped = 0;
      for (let next = null, turn = 0; turn < 10; turn += 1) {
        const part = await rewrapBatch({ rotationId, masterKeyId, after: next, limit: 4 });
        rewrapped += part.rewrapped;
      }
      return rewrapped;
    });
    expect(runs.reduce((sum, one) => sum + one, 0)).toBe(30);
    expect(await findRotation(database.db)).toMatchObject({ rewrapped: 30 });
    await expectReadable(after, secrets);
  });

  it('never waits for readers, nor they for it', async () => {
    const [secret] = await many(3, () => aSecret(before));
    await database.db.transaction().execute(async (tx) => {
      await tx.selectFrom('organization_keys').selectAll().forNoKeyUpdate().execute();
      await expectReadable(before, [secret as Secret]);
      const { organizationId = '' } = secret ?? {};
      await expectReadable(before, [await aSecret(before, organizationId)]);
    });
  });

  it('wraps all that it can, and fails by naming what it could not', async () => {
    const secrets = await many(10, () => aSecret(before));
    const lost = await many(3, () => aSecret(createKeyring(STRANGE)));
    const [damaged] = await many(1, () => aSecret(before));
    await database.db
      .updateTable('organization_keys')
      .set({ wrapped_key: `k2.${keyId(OLD)}.${randomBytes(60).toString('base64url')}` })
      .where('organization_id', '=', damaged?.organizationId ?? '')
      .execute();
    await carryOutRotation(database.db, both, aCall());
    expect(await findRotation(database.db)).toMatchObject({ state: 'failed', rewrapped: 10 });
    const { errorMessage } = (await findRotation(database.db)) ?? {};
    expect(errorMessage).toContain(`3 by ${keyId(STRANGE)}, which is not there`);
    expect(errorMessage).toContain(`1 by ${keyId(OLD)}, by which they do not open`);
    await expectReadable(after, secrets);
    await expectReadable(createKeyring(STRANGE), lost);

    await carryOutRotation(database.db, createKeyring(NEW, OLD, STRANGE), aCall());
    await expectReadable(after, lost);
    expect(await findRotation(database.db)).toMatchObject({ state: 'failed', rewrapped: 3 });
  });

  it('is refused by a process that does not have the wanted master key, without a change', async () => {
    await many(3, () => aSecret(before));
    const call = aCall(STRANGE);
    const { rewrapBatch } = createKeyRewrapper(database.db, both);
    await expect(rewrapBatch({ ...call, after: null, limit: 10 })).rejects.toMatchObject({
      code: 'CONFIGURATION',
      message: `cannot wrap data keys by master key ${keyId(STRANGE)}: this orchestrator has ${both.ids.join(', ')}`,
    });
    expect(await countMasterKeyUse(database.db)).toEqual([{ masterKeyId: keyId(OLD), dataKeys: 3 }]);
  });
});

describe('the record of rotations', () => {
  it('has one that is running; what a dead workflow left open has failed', async () => {
    const records = createRotationRecords(database.db);
    const [first, second] = [aCall(), aCall()];
    await records.beginRotation(first);
    await records.beginRotation(first);
    await records.beginRotation(second);
    expect(await findRotation(database.db, first.rotationId)).toMatchObject({
      state: 'failed',
      errorCode: 'CANCELLED',
    });
    await records.endRotation({ rotationId: first.rotationId, failure: null });
    expect(await findRotation(database.db, first.rotationId)).toMatchObject({ state: 'failed' });
    await records.endRotation({ rotationId: second.rotationId, failure: null });
    await records.endRotation({ rotationId: second.rotationId, failure: null });
    expect(await findRotation(database.db)).toMatchObject({ id: second.rotationId, state: 'succeeded' });
    expect(await records.beginRotation(second)).toEqual({ open: false });
  });

  it('keeps the newest hundred', async () => {
    const records = createRotationRecords(database.db);
    const calls = Array.from({ length: 103 }, () => aCall());
    for (const call of calls) {
      await records.beginRotation(call);
      await records.endRotation({ rotationId: call.rotationId, failure: null });
    }
    const kept = await database.db.selectFrom('key_rotations').select('id').orderBy('sequence').execute();
    expect(kept.map(({ id }) => id)).toEqual(calls.slice(3).map(({ rotationId }) => rotationId));
  });
});
