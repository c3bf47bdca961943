import { derivePurposeKey, makeDataKey, type StoredDataKey, unwrapDataKey } from './data-keys.ts';
import type { Keyring } from './keyring.ts';

/** Organizations whose keys are held in memory; the least recently used goes first. Some hundred bytes each. */
const MAX_CACHED = 1000;

/** How long another process's new version of a data key may go unnoticed, while older ones still seal. */
const FRESH_MS = 60_000;

/** Where data keys are stored. */
export interface DataKeyStore {
  /** All versions of an organization's data key, the oldest first; none before the first one was made. */
  listDataKeys(organizationId: string): Promise<readonly StoredDataKey[]>;
  /** Stores an organization's first data key, unless there is one by now. */
  storeFirstDataKey(key: { organizationId: string; wrappedKey: string }): Promise<void>;
}

/** The keys of one organization. Each is unwrapped when it is first asked for. */
export interface OrganizationKeys {
  /** The newest version, which seals. */
  readonly newest: number;
  has(version: number): boolean;
  /** @throws CONFIGURATION when the version cannot be unwrapped */
  sealKey(version: number): Uint8Array;
  /** Always of the first version, so that equal values look equal across rotations. @throws as `sealKey` */
  fingerprintKey(): Uint8Array;
}

/** Finds the keys of organizations. */
export interface OrganizationKeySource {
  /** The keys as they are, with a first version made when there is none. */
  toSeal(organizationId: string): Promise<OrganizationKeys>;
  /** The keys with this version among them; `undefined` when there is no such version. */
  toOpen(organizationId: string, version: number): Promise<OrganizationKeys | undefined>;
}

/** Creates the source: each organization has data keys of its own, wrapped by master keys. */
export function createOrganizationKeys(deps: {
  masterKeys: Keyring;
  store: DataKeyStore;
  now: () => number;
}): OrganizationKeySource {
  const { masterKeys, store, now } = deps;
  const cached = new Map<string, { readonly keys: Promise<OrganizationKeys>; readonly loadedAt: number }>();

  async function load(organizationId: string): Promise<OrganizationKeys> {
    return toOrganizationKeys(masterKeys, organizationId, await store.listDataKeys(organizationId));
  }

  async function loadOrMake(organizationId: string): Promise<OrganizationKeys> {
    const keys = await load(organizationId);
    if (keys.newest > 0) return keys;
    const wrappedKey = makeDataKey(masterKeys.present, { organizationId, version: 1 });
    await store.storeFirstDataKey({ organizationId, wrappedKey });
    return await load(organizationId);
  }

  /** Of callers at the same time one loads, and all wait for it. */
  function keep(organizationId: string, keys: Promise<OrganizationKeys>): Promise<OrganizationKeys> {
    const entry = { keys, loadedAt: now() };
    cached.delete(organizationId);
    cached.set(organizationId, entry);
    const oldest = cached.keys().next().value;
    if (cached.size > MAX_CACHED && oldest !== undefined) cached.delete(oldest);
    keys.catch(() => cached.get(organizationId) === entry && cached.delete(organizationId));
    return keys;
  }

  function fresh(organizationId: string): Promise<OrganizationKeys> | undefined {
    const entry = cached.get(organizationId);
    if (!entry || now() - entry.loadedAt > FRESH_MS) return undefined;
    cached.delete(organizationId);
    cached.set(organizationId, entry);
    return entry.keys;
  }

  return {
    toSeal: (organizationId) => fresh(organizationId) ?? keep(organizationId, loadOrMake(organizationId)),
    toOpen: async (organizationId, version) => {
      const known = await fresh(organizationId);
      if (known?.has(version)) return known;
      const keys = await load(organizationId);
      if (keys.newest > 0) void keep(organizationId, Promise.resolve(keys));
      return keys.has(version) ? keys : undefined;
    },
  };
}

function toOrganizationKeys(
  masterKeys: Keyring,
  organizationId: string,
  stored: readonly StoredDataKey[],
): OrganizationKeys {
  const wrapped = new Map(stored.map(({ version, wrappedKey }) => [version, wrappedKey]));
  const unwrapped = new Map<number, Uint8Array>();
  const dataKey = (version: number): Uint8Array => {
    const known = unwrapped.get(version);
    if (known) return known;
    const key = unwrapDataKey(masterKeys, { organizationId, version }, wrapped.get(version) ?? '');
    unwrapped.set(version, key);
    return key;
  };
  return {
    newest: Math.max(0, ...wrapped.keys()),
    has: (version) => wrapped.has(version),
    sealKey: (version) => derivePurposeKey(dataKey(version), 'seal'),
    fingerprintKey: () => derivePurposeKey(dataKey(1), 'fingerprint'),
  };
}
