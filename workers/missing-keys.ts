import type { Log } from '../adapters/logging/log.ts';
import type { Database } from '../adapters/postgres/database.ts';
import { countMasterKeyUse } from '../adapters/postgres/key-rotations.ts';
import type { Keyring } from '../adapters/sealing/keyring.ts';

/**
 * Looks once, at the start of a process, whether it has every master key that wraps a data key, and names in the log
 * those that it lacks. The process works all the same: other organizations' secrets can be used.
 *
 * Never throws: a database that is away, or is not migrated yet, is somebody else's to tell.
 */
export async function tellMissingMasterKeys(db: Database, masterKeys: Keyring, log: Log): Promise<void> {
  try {
    for (const { masterKeyId, dataKeys } of await countMasterKeyUse(db)) {
      if (masterKeys.find(masterKeyId)) continue;
      const hint = `Put master key ${masterKeyId} back into the file of MASTER_KEY_FILE, behind the first line.`;
      log.error({ masterKeyId, dataKeys, hint }, 'a master key that wraps data keys is missing here');
    }
  } catch (error) {
    log.debug({ err: error }, 'cannot look whether a master key is missing');
  }
}
