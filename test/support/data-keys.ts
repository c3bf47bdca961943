import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { bindContext, encrypt } from '../../adapters/sealing/cipher.ts';
import type { StoredDataKey } from '../../adapters/sealing/data-keys.ts';
import { keyId } from '../../adapters/sealing/keyring.ts';
import type { DataKeyStore } from '../../adapters/sealing/organization-keys.ts';

/** A store of data keys in memory, with what it was asked. */
export function createMemoryDataKeys(stored = new Map<string, StoredDataKey[]>()) {
  const asked: string[] = [];
  const store: DataKeyStore = {
    listDataKeys: async (organizationId) => {
      asked.push(organizationId);
      return [...(stored.get(organizationId) ?? [])];
    },
    storeFirstDataKey: async ({ organizationId, wrappedKey }) => {
      if (!stored.has(organizationId)) stored.set(organizationId, [{ version: 1, wrappedKey }]);
    },
  };
  return { store, stored, asked };
}

/** What the first version of the sealing left in a database: one data key an organization, values bound to their name. */
export function createFirstSealing(masterKey: Uint8Array, organizationId: string) {
  const dataKey = randomBytes(32);
  const derive = (purpose: string) => new Uint8Array(hkdfSync('sha256', dataKey, '', `obiente ${purpose}`, 32));
  const wrapped = encrypt(masterKey, dataKey, bindContext('organization key', 'k1', organizationId));
  return {
    wrappedKey: `k1.${keyId(masterKey)}.${wrapped.toString('base64url')}`,
    seal: (name: string, value: string) => {
      const sealed = encrypt(derive('seal'), Buffer.from(value), bindContext(organizationId, name, 's1'));
      return `s1.${sealed.toString('base64url')}`;
    },
    fingerprint: (value: string) =>
      createHmac('sha256', derive('fingerprint')).update(value).digest('hex').slice(0, 12),
  };
}
