import { randomBytes, randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Log } from '../adapters/logging/log.ts';
import { openDatabase } from '../adapters/postgres/database.ts';
import { createDataKeyStore } from '../adapters/postgres/organization-keys.ts';
import { makeDataKey } from '../adapters/sealing/data-keys.ts';
import { createKeyring } from '../adapters/sealing/keyring.ts';
import { aTenant } from '../test/support/control-data.ts';
import { useTestDatabase } from '../test/support/database.ts';
import { tellMissingMasterKeys } from './missing-keys.ts';

const database = useTestDatabase();
const [OLD, NEW] = [randomBytes(32), randomBytes(32)];

function aLog() {
  const errors: unknown[] = [];
  const log = { error: (fields: unknown) => errors.push(fields), debug: () => undefined } as unknown as Log;
  return { log, errors };
}

describe('a process at its start', () => {
  it('names the master keys that it lacks, and how many data keys each of them wraps', async () => {
    const masterKeys = createKeyring(OLD);
    for (let count = 0; count < 3; count += 1) {
      const { organizationId } = await aTenant(database.db);
      const wrappedKey = makeDataKey(masterKeys.present, { organizationId, version: 1 });
      await createDataKeyStore(database.db).storeFirstDataKey({ organizationId, wrappedKey });
    }
    const { log, errors } = aLog();
    await tellMissingMasterKeys(database.db, createKeyring(NEW, OLD), log);
    expect(errors).toEqual([]);
    await tellMissingMasterKeys(database.db, createKeyring(NEW), log);
    const { id } = masterKeys.present;
    expect(errors).toEqual([{ masterKeyId: id, dataKeys: 3, hint: expect.stringContaining(id) }]);
  });

  it('starts all the same while the database is away', async () => {
    const away = openDatabase({ url: `postgres://nobody@127.0.0.1:1/${randomUUID()}` });
    const { log, errors } = aLog();
    await tellMissingMasterKeys(away, createKeyring(NEW), log);
    expect(errors).toEqual([]);
    await away.destroy();
  });
});
