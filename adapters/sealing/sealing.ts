import { createHmac } from 'node:crypto';
import { DomainError } from '../../domain/errors.ts';
import { bindContext, decrypt, encrypt } from './cipher.ts';
import type { Keyring } from './keyring.ts';
import { createOrganizationKeys, type DataKeyStore } from './organization-keys.ts';

const FORM = 's2';
/** The form of values that were sealed before values had versions: bound to organization and name, by data key 1. */
const FIRST_FORM = 's1';
const FINGERPRINT_DIGITS = 12;

/** What a value is sealed for; it opens nowhere else. */
export interface SecretPlace {
  readonly organizationId: string;
  /** What it belongs to within the organization, for example `deployment <id>`. */
  readonly owner: string;
  readonly name: string;
  /** Which of the values that ever stood there: an id that is made for it when it is sealed, and stored beside it. */
  readonly version: string;
}

/** A sealed value and where it was found. Without a version it is one of the first form. */
export interface SealedSecret extends Omit<SecretPlace, 'version'> {
  readonly version: string | undefined;
  readonly sealed: string;
}

/** Seals the secrets of organizations at rest. */
export interface Sealing {
  /**
   * Seals a value: what comes back tells nothing but its length, differs each time, and opens only in the same place
   * under the same version.
   */
  seal(input: SecretPlace & { readonly value: string }): Promise<string>;
  /**
   * Opens what `seal` made, by whichever version of the data key it was sealed.
   *
   * @throws INTERNAL when it was sealed for another place or version, or changed; CONFIGURATION when the master key of
   *   its data key is not there. Never with any of the value.
   */
  open(input: SealedSecret): Promise<string>;
  /**
   * Twelve hex digits of a keyed hash of a value: equal for equal values of one organization, whatever the name, and
   * of no use for guessing without the key. A new data key does not change it.
   */
  fingerprint(input: { readonly organizationId: string; readonly value: string }): Promise<string>;
}

/** Creates the sealing from the master keys and the store of wrapped data keys. */
export function createSealing(deps: { masterKeys: Keyring; store: DataKeyStore; now?: () => number }): Sealing {
  const keys = createOrganizationKeys({ now: Date.now, ...deps });
  return {
    seal: async ({ value, ...place }) => {
      const own = await keys.toSeal(place.organizationId);
      const context = contextOf(place, own.newest);
      const sealed = encrypt(own.sealKey(own.newest), Buffer.from(value), context);
      return `${FORM}.${own.newest}.${sealed.toString('base64url')}`;
    },
    open: async (secret) => {
      const parsed = parseSealed(secret);
      const own = parsed && (await keys.toOpen(secret.organizationId, parsed.keyVersion));
      if (!own) throw refuse(secret.name);
      return openWith(own.sealKey(parsed.keyVersion), secret.name, parsed);
    },
    fingerprint: async ({ organizationId, value }) => {
      const own = await keys.toSeal(organizationId);
      return createHmac('sha256', own.fingerprintKey()).update(value).digest('hex').slice(0, FINGERPRINT_DIGITS);
    },
  };
}

interface ParsedSecret {
  readonly keyVersion: number;
  readonly bytes: Buffer;
  readonly context: Buffer;
}

/** A value with a version is never taken in the first form, which does not know versions. */
function parseSealed({ sealed, version, ...place }: SealedSecret): ParsedSecret | undefined {
  const [form, ...parts] = sealed.split('.');
  if (version === undefined) {
    const [data, rest] = parts;
    if (form !== FIRST_FORM || data === undefined || rest !== undefined) return undefined;
    const context = bindContext(place.organizationId, place.name, FIRST_FORM);
    return { keyVersion: 1, bytes: Buffer.from(data, 'base64url'), context };
  }
  const [keyVersion = '', data, rest] = parts;
  if (form !== FORM || !/^[1-9]\d{0,8}$/.test(keyVersion) || data === undefined || rest !== undefined) return undefined;
  const context = contextOf({ ...place, version }, Number(keyVersion));
  return { keyVersion: Number(keyVersion), bytes: Buffer.from(data, 'base64url'), context };
}

function contextOf({ organizationId, owner, name, version }: SecretPlace, keyVersion: number): Buffer {
  return bindContext(FORM, organizationId, owner, name, version, `${keyVersion}`);
}

function openWith(key: Uint8Array, name: string, { bytes, context }: ParsedSecret): string {
  try {
    return decrypt(key, bytes, context).toString('utf8');
  } catch {
    // OpenSSL says nothing more than that it failed.
    throw refuse(name);
  }
}

function refuse(name: string): DomainError {
  return new DomainError(
    'INTERNAL',
    `cannot open the value of ${name}: it was sealed for another place or version, or changed`,
  );
}
