import { randomBytes, randomUUID } from 'node:crypto';
import { copyFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { aTenant } from '../../test/support/control-data.ts';
import { createFirstSealing } from '../../test/support/data-keys.ts';
import { adminUrlOfRun, useTestDatabase } from '../../test/support/database.ts';
import { createEmptyDatabase } from '../../test/support/postgres.ts';
import { makeDataKey } from '../sealing/data-keys.ts';
import { createKeyring } from '../sealing/keyring.ts';
import { createSealing } from '../sealing/sealing.ts';
import { openDatabase } from './database.ts';
import { migrate } from './migrate.ts';
import type { Mutation } from './mutation-keys.ts';
import { createDataKeyStore, renewDataKey } from './organization-keys.ts';
import { findRegistryCredential } from './registries.ts';

const database = useTestDatabase();
const masterKeys = createKeyring(randomBytes(32));

function aMutation(requestHash = 'a'.repeat(64)): Mutation {
  return { idempotencyKey: `key-${randomUUID()}`, requestHash };
}

function aRenewal(organizationId: string, mutation = aMutation()) {
  const make = (version: number) => makeDataKey(masterKeys.present, { organizationId, version });
  return { organizationId, make, ...mutation };
}

function aProcess() {
  return createSealing({ masterKeys, store: createDataKeyStore(database.db) });
}

async function versionsOf(organizationId: string): Promise<number[]> {
  return (await createDataKeyStore(database.db).listDataKeys(organizationId)).map(({ version }) => version);
}

describe('the data key of an organization', () => {
  it('is one, whoever seals first', async () => {
    const { organizationId } = await aTenant(database.db);
    expect(await versionsOf(organizationId)).toEqual([]);
    const place = { organizationId, owner: 'deployment 1', name: 'TOKEN', version: randomUUID() };
    const sealed = await Promise.all(
      Array.from({ length: 10 }, (_, index) => aProcess().seal({ ...place, value: `${index}` })),
    );
    expect(await versionsOf(organizationId)).toEqual([1]);
    const opened = await Promise.all(sealed.map((one) => aProcess().open({ ...place, sealed: one })));
    expect(opened).toEqual(sealed.map((_, index) => `${index}`));
  });

  it('is not taken unless it names its master key', async () => {
    const { organizationId } = await aTenant(database.db);
    const store = createDataKeyStore(database.db);
    for (const wrappedKey of ['', 'k2', 'k2.zz.data', 'not wrapped']) {
      await expect(store.storeFirstDataKey({ organizationId, wrappedKey })).rejects.toMatchObject({ code: '23514' });
    }
  });

  it('goes with its organization', async () => {
    const { organizationId } = await aTenant(database.db);
    await renewDataKey(database.db, aRenewal(organizationId));
    await database.db.deleteFrom('projects').where('organization_id', '=', organizationId).execute();
    await database.db.deleteFrom('organizations').where('id', '=', organizationId).execute();
    expect(await versionsOf(organizationId)).toEqual([]);
  });
});

describe('a new data key', () => {
  it('is the next version, once for a key of the caller', async () => {
    const { organizationId } = await aTenant(database.db);
    const renewal = aRenewal(organizationId);
    const again = await Promise.all([1, 2, 3].map(() => renewDataKey(database.db, renewal)));
    expect(again).toEqual([{ version: 1 }, { version: 1 }, { version: 1 }]);
    expect(await renewDataKey(database.db, aRenewal(organizationId))).toEqual({ version: 2 });
    expect(await renewDataKey(database.db, renewal)).toEqual({ version: 1 });
    const other = { ...renewal, requestHash: 'b'.repeat(64) };
    await expect(renewDataKey(database.db, other)).rejects.toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' });
    expect(await versionsOf(organizationId)).toEqual([1, 2]);
  });

  it('is refused for an organization that there is not, and beyond a thousand', async () => {
    const unknown = renewDataKey(database.db, aRenewal(randomUUID()));
    await expect(unknown).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const { organizationId } = await aTenant(database.db);
    const row = { id: randomUUID(), organization_id: organizationId, version: 1000 };
    const wrapped_key = makeDataKey(masterKeys.present, { organizationId, version: 1000 });
    await database.db
      .insertInto('organization_keys')
      .values({ ...row, wrapped_key })
      .execute();
    const beyond = renewDataKey(database.db, aRenewal(organizationId));
    await expect(beyond).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: 'organization_id' });
  });

  it('loses nothing and leaves nothing unreadable while others seal, and renew, at the same time', async () => {
    const { organizationId } = await aTenant(database.db);
    const owner = 'deployment 1';
    const seal = async (index: number) => {
      const version = randomUUID();
      const place = { organizationId, owner, name: `V${index}`, version };
      return { ...place, value: `${index}`, sealed: await aProcess().seal({ ...place, value: `${index}` }) };
    };
    const [values] = await Promise.all([
      Promise.all(Array.from({ length: 60 }, (_, index) => seal(index))),
      Promise.all(Array.from({ length: 8 }, () => renewDataKey(database.db, aRenewal(organizationId)))),
    ]);
    const versions = await versionsOf(organizationId);
    // The first value sealed may have made version 1, or the first renewal.
    expect([8, 9]).toContain(versions.length);
    expect(versions).toEqual(versions.map((_, index) => index + 1));
    const reader = aProcess();
    for (const { value, ...secret } of values) expect(await reader.open(secret)).toBe(value);
  });
});

describe('a database from before data keys had versions', () => {
  it('keeps every secret readable', async () => {
    const before = await createEmptyDatabase(adminUrlOfRun());
    const folder = await mkdtemp(join(tmpdir(), 'obiente-migrations-'));
    const migrations = join(import.meta.dirname, 'migrations');
    const older = (await readdir(migrations)).filter((file) => file < '0005');
    for (const file of older) await copyFile(join(migrations, file), join(folder, file));
    await migrate(before.url, folder);

    const db = openDatabase({ url: before.url });
    const { organizationId } = await aTenant(db);
    const first = createFirstSealing(masterKeys.present.key, organizationId);
    const [host, password] = ['ghcr.io', first.seal('registry ghcr.io', 'a password')];
    await sql`INSERT INTO organization_keys (organization_id, wrapped_key)
      VALUES (${organizationId}, ${first.wrappedKey})`.execute(db);
    await sql`INSERT INTO registry_credentials (id, organization_id, host, username, sealed_password, fingerprint)
      VALUES (${randomUUID()}, ${organizationId}, ${host}, 'robot', ${password}, '0123456789ab')`.execute(db);
    await migrate(before.url);

    const sealing = createSealing({ masterKeys, store: createDataKeyStore(db) });
    const found = await findRegistryCredential(db, { organizationId, host });
    expect(found).toMatchObject({ version: null, sealedPassword: password });
    const place = { organizationId, owner: 'registries', name: 'registry ghcr.io', version: undefined };
    expect(await sealing.open({ ...place, sealed: found?.sealedPassword ?? '' })).toBe('a password');
    expect(await renewDataKey(db, aRenewal(organizationId))).toEqual({ version: 2 });

    await db.destroy();
    await before.drop();
    await rm(folder, { recursive: true });
  });
});
