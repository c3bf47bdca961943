import { createHash } from 'node:crypto';
import { DomainError } from '../../domain/errors.ts';
import { readSecretFile } from './secret-file.ts';

const KEY_BYTES = 32;

/** 32 random bytes have fewer than 16 different ones in about one of 10^10 keys; what a person types often has. */
const MIN_DISTINCT_BYTES = 16;

/** The present key, the next one, and some on their way out. */
const MAX_KEYS = 8;

/** A key, and the name by which what it encrypted refers to it. */
export interface NamedKey {
  /** 8 hex digits, see {@link keyId}. */
  readonly id: string;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

/** Keys of one purpose: the present one encrypts, all decrypt. */
export interface Keyring {
  readonly present: NamedKey;
  /** Names of all keys, the present one first. */
  readonly ids: readonly string[];
  find(id: string): Uint8Array | undefined;
}

/**
 * The name of a key: 8 hex digits of a hash. It may be shown and stored: it tells nothing of 32 random bytes.
 *
 * Data keys that are stored have it in them, so what is hashed never changes.
 */
export function keyId(key: Uint8Array): string {
  return createHash('sha256').update('obiente master key id').update(key).digest('hex').slice(0, 8);
}

/** Makes a keyring of 32-byte keys, the present one first. */
export function createKeyring(first: Uint8Array, ...others: readonly Uint8Array[]): Keyring {
  const keys = [first, ...others].map((key): [string, Uint8Array] => [keyId(key), key]);
  const byId = new Map(keys);
  return {
    present: { id: keyId(first), key: first },
    ids: [...byId.keys()],
    find: (id) => byId.get(id),
  };
}

/**
 * Reads a file of keys: one a line, the present one first.
 *
 * @param variable the environment variable that names the file, for the error.
 * @throws CONFIGURATION when the file is missing, readable by others, or holds anything else than keys.
 */
export async function readKeyring(path: string, variable: string): Promise<Keyring> {
  const [first, ...others] = parseKeys(await readSecretFile(path, variable), variable);
  return createKeyring(first, ...others);
}

/**
 * Parses keys: each line 32 random bytes in base64, no two alike; empty lines do not count.
 *
 * @throws CONFIGURATION without repeating a key.
 */
export function parseKeys(text: string, variable: string): readonly [Uint8Array, ...Uint8Array[]] {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (lines.length > MAX_KEYS) {
    throw new DomainError('CONFIGURATION', `${variable}: found ${lines.length} keys; allowed are 1 to ${MAX_KEYS}`, {
      hint: 'Take away those that nothing needs any more; `obiente keys status` names them.',
    });
  }
  const [first, ...others] = lines.map((line, index) =>
    parseKey(line, `${variable}: ${lines.length === 1 ? 'the key' : `key ${index + 1} of ${lines.length}`}`),
  );
  if (!first) return [parseKey('', `${variable}: the key`)];
  const ids = [first, ...others].map(keyId);
  const repeated = ids.findIndex((id, index) => ids.indexOf(id) !== index);
  if (repeated < 0) return [first, ...others];
  throw new DomainError('CONFIGURATION', `${variable}: key ${repeated + 1} of ${ids.length} is there already`, {
    hint: 'Keep each key once: the first line encrypts, the others decrypt only.',
  });
}

function parseKey(line: string, what: string): Uint8Array {
  const key = Buffer.from(line, 'base64');
  if (key.toString('base64') !== line) throw refuse(what, 'is not base64');
  if (key.length !== KEY_BYTES) throw refuse(what, `has ${key.length} bytes`);
  if (new Set(key).size < MIN_DISTINCT_BYTES) throw refuse(what, 'is not random');
  return key;
}

function refuse(what: string, finding: string): DomainError {
  return new DomainError('CONFIGURATION', `${what} ${finding}; allowed are 32 random bytes in base64`, {
    hint: 'Make one with `openssl rand -base64 32`; a key that encrypted something already must be kept.',
  });
}
