import { hkdfSync, randomBytes } from 'node:crypto';
import { DomainError, isDomainError } from '../../domain/errors.ts';
import { bindContext, decrypt, encrypt } from './cipher.ts';
import type { Keyring, NamedKey } from './keyring.ts';

const FORM = 'k2';
/** The form of keys that were wrapped before data keys had versions: it stands for version 1 alone. */
const FIRST_FORM = 'k1';
const DATA_KEY_BYTES = 32;

/** Which data key. An organization's first one has version 1. */
export interface DataKeyRef {
  readonly organizationId: string;
  readonly version: number;
}

/** A data key as it is stored: wrapped by a master key, whose id is in it. */
export interface StoredDataKey {
  readonly version: number;
  readonly wrappedKey: string;
}

/** Makes a data key, wrapped. */
export function makeDataKey(by: NamedKey, ref: DataKeyRef): string {
  return wrap(by, ref, randomBytes(DATA_KEY_BYTES));
}

/**
 * Unwraps a data key by whichever master key wrapped it.
 *
 * @throws CONFIGURATION when that master key is not there, or the wrapped key is another one's or was changed.
 */
export function unwrapDataKey(masterKeys: Keyring, ref: DataKeyRef, wrapped: string): Uint8Array {
  const [form, id = '', data, rest] = wrapped.split('.');
  const context = form === undefined ? undefined : contextOf(form, ref);
  if (!context || data === undefined || rest !== undefined) throw unusable('it has an unknown form');
  const masterKey = masterKeys.find(id);
  if (!masterKey) throw missing(id, masterKeys.ids);
  try {
    return decrypt(masterKey, Buffer.from(data, 'base64url'), context);
  } catch {
    // OpenSSL says nothing more than that it failed.
    throw unusable('it was changed, or belongs to another organization or version');
  }
}

/** What became of a data key: wrapped anew, or why not, and by which master key it is wrapped. */
export type RewrapOutcome =
  | { readonly wrappedKey: string }
  | { readonly masterKeyId: string; readonly reason: 'missing' | 'damaged' };

/** Wraps a data key by another master key, if it can be unwrapped; the data key itself stays as it is. */
export function tryRewrapDataKey(masterKeys: Keyring, by: NamedKey, ref: DataKeyRef, wrapped: string): RewrapOutcome {
  const masterKeyId = wrapped.split('.')[1] ?? '';
  if (!masterKeys.find(masterKeyId)) return { masterKeyId, reason: 'missing' };
  try {
    return { wrappedKey: wrap(by, ref, unwrapDataKey(masterKeys, ref, wrapped)) };
  } catch (error) {
    if (!isDomainError(error)) throw error;
    return { masterKeyId, reason: 'damaged' };
  }
}

/** Derives the key of one purpose. */
export function derivePurposeKey(dataKey: Uint8Array, purpose: 'seal' | 'fingerprint'): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', dataKey, '', `obiente ${purpose}`, 32));
}

function wrap({ id, key }: NamedKey, ref: DataKeyRef, dataKey: Uint8Array): string {
  const wrapped = encrypt(key, dataKey, bindContext('organization key', FORM, ref.organizationId, `${ref.version}`));
  return `${FORM}.${id}.${wrapped.toString('base64url')}`;
}

function contextOf(form: string, { organizationId, version }: DataKeyRef): Buffer | undefined {
  if (form === FORM) return bindContext('organization key', FORM, organizationId, `${version}`);
  return form === FIRST_FORM && version === 1 ? bindContext('organization key', FIRST_FORM, organizationId) : undefined;
}

function missing(id: string, known: readonly string[]): DomainError {
  const finding = `it is wrapped by master key ${id}, and this process has ${known.join(', ')}`;
  return unusable(finding, `Put master key ${id} back into the file of MASTER_KEY_FILE, behind the first line.`);
}

function unusable(finding: string, hint?: string): DomainError {
  return new DomainError('CONFIGURATION', `cannot unwrap a data key of an organization: ${finding}`, {
    hint: hint ?? 'Restore the table organization_keys from a backup.',
  });
}
