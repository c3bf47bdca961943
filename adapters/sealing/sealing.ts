import { createHmac } from 'node:crypto';
import { DomainError } from '../../domain/errors.ts';
import { bindContext, decrypt, encrypt } from './cipher.ts';
import { createOrganizationKeys, type FindOrCreateOrganizationKey } from './organization-keys.ts';

const VERSION = 's1';
const FINGERPRINT_DIGITS = 12;

/** Seals the secrets of organizations at rest. */
export interface Sealing {
  /**
   * Seals a value: what comes back tells nothing but its length, differs each time, and opens only for the same
   * organization and name.
   */
  seal(input: { organizationId: string; name: string; value: string }): Promise<string>;
  /**
   * Opens what `seal` made.
   *
   * @throws INTERNAL when it was sealed for another organization or name, or changed; never with any of the value.
   */
  open(input: { organizationId: string; name: string; sealed: string }): Promise<string>;
  /**
   * Twelve hex digits of a keyed hash of a value: equal for equal values of one organization, whatever the name, and
   * of no use for guessing without the key.
   */
  fingerprint(input: { organizationId: string; value: string }): Promise<string>;
}

/** Creates the sealing from the master key and the store of wrapped data keys. */
export function createSealing(deps: {
  masterKey: Uint8Array;
  findOrCreateOrganizationKey: FindOrCreateOrganizationKey;
}): Sealing {
  const keysOf = createOrganizationKeys(deps.masterKey, deps.findOrCreateOrganizationKey);
  return {
    seal: async ({ organizationId, name, value }) => {
      const { seal } = await keysOf(organizationId);
      const sealed = encrypt(seal, Buffer.from(value), bindContext(organizationId, name, VERSION));
      return `${VERSION}.${sealed.toString('base64url')}`;
    },
    open: async ({ organizationId, name, sealed }) => {
      const { seal } = await keysOf(organizationId);
      return openSealed(seal, sealed, { organizationId, name });
    },
    fingerprint: async ({ organizationId, value }) => {
      const { fingerprint } = await keysOf(organizationId);
      return createHmac('sha256', fingerprint).update(value).digest('hex').slice(0, FINGERPRINT_DIGITS);
    },
  };
}

function openSealed(key: Uint8Array, sealed: string, bound: { organizationId: string; name: string }): string {
  const [version, data, rest] = sealed.split('.');
  try {
    if (version !== VERSION || data === undefined || rest !== undefined) throw new Error('unknown form');
    const context = bindContext(bound.organizationId, bound.name, VERSION);
    return decrypt(key, Buffer.from(data, 'base64url'), context).toString('utf8');
  } catch {
    // OpenSSL says nothing more than that it failed.
    throw new DomainError(
      'INTERNAL',
      `cannot open the value of ${bound.name}: it was sealed for another place or changed`,
    );
  }
}
