import { createHash, hkdfSync, randomBytes } from 'node:crypto';
import { DomainError } from '../../domain/errors.ts';
import { bindContext, decrypt, encrypt } from './cipher.ts';

const VERSION = 'k1';
const DATA_KEY_BYTES = 32;

/** Organizations whose keys are held in memory; the least recently used goes first. 2 × 32 bytes each. */
const MAX_CACHED = 1000;

/** The keys of one organization, derived from its data key. */
export interface OrganizationKeys {
  readonly seal: Uint8Array;
  readonly fingerprint: Uint8Array;
}

/**
 * Stores a wrapped data key, unless the organization has one: answers with the one that it has.
 *
 * Of calls at the same time all get the same answer.
 */
export type FindOrCreateOrganizationKey = (input: {
  organizationId: string;
  proposedWrappedKey: string;
}) => Promise<string>;

/** Creates the source of organizations' keys: each organization has a data key of its own, wrapped by the master key. */
export function createOrganizationKeys(
  masterKey: Uint8Array,
  findOrCreate: FindOrCreateOrganizationKey,
): (organizationId: string) => Promise<OrganizationKeys> {
  const cached = new Map<string, OrganizationKeys>();
  const { wrap, unwrap } = createWrapping(masterKey);

  async function load(organizationId: string): Promise<OrganizationKeys> {
    const proposedWrappedKey = wrap(organizationId, randomBytes(DATA_KEY_BYTES));
    return derive(unwrap(organizationId, await findOrCreate({ organizationId, proposedWrappedKey })));
  }

  return async (organizationId) => {
    const keys = cached.get(organizationId) ?? (await load(organizationId));
    cached.delete(organizationId);
    cached.set(organizationId, keys);
    const oldest = cached.keys().next().value;
    if (cached.size > MAX_CACHED && oldest !== undefined) cached.delete(oldest);
    return keys;
  };
}

/** Wraps data keys by the master key. The wrapped form names the master key by a hash, to tell a wrong one at once. */
function createWrapping(masterKey: Uint8Array) {
  const masterId = createHash('sha256').update('obiente master key id').update(masterKey).digest('hex').slice(0, 8);
  const contextOf = (organizationId: string) => bindContext('organization key', VERSION, organizationId);
  return {
    wrap: (organizationId: string, dataKey: Uint8Array): string =>
      `${VERSION}.${masterId}.${encrypt(masterKey, dataKey, contextOf(organizationId)).toString('base64url')}`,
    unwrap: (organizationId: string, wrapped: string): Uint8Array => {
      const [version, id, data] = wrapped.split('.');
      if (version !== VERSION || data === undefined) throw unusable('it has an unknown form');
      if (id !== masterId) throw unusable(`it is wrapped by master key ${id}, this process has ${masterId}`);
      try {
        return decrypt(masterKey, Buffer.from(data, 'base64url'), contextOf(organizationId));
      } catch {
        // OpenSSL says nothing more than that it failed.
        throw unusable('it was changed, or belongs to another organization');
      }
    },
  };
}

function derive(dataKey: Uint8Array): OrganizationKeys {
  const key = (purpose: string) => new Uint8Array(hkdfSync('sha256', dataKey, '', `obiente ${purpose}`, 32));
  return { seal: key('seal'), fingerprint: key('fingerprint') };
}

function unusable(finding: string): DomainError {
  return new DomainError('CONFIGURATION', `cannot unwrap the data key of an organization: ${finding}`, {
    hint: 'Set MASTER_KEY_FILE to the key with which this database was used before.',
  });
}
