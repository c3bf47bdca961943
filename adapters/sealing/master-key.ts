import { DomainError } from '../../domain/errors.ts';
import { readSecretFile } from './secret-file.ts';

const KEY_BYTES = 32;

/** 32 random bytes have fewer than 16 different ones in about one of 10^10 keys; what a person types often has. */
const MIN_DISTINCT_BYTES = 16;

/**
 * Reads the master key, under which the organizations' data keys are wrapped.
 *
 * @throws CONFIGURATION when the file is missing, readable by others, or does not hold 32 random bytes in base64.
 */
export async function readMasterKey(path: string, variable = 'MASTER_KEY_FILE'): Promise<Uint8Array> {
  return parseMasterKey(await readSecretFile(path, variable), variable);
}

/**
 * Parses a master key: 32 random bytes in base64.
 *
 * @throws CONFIGURATION without repeating the key.
 */
export function parseMasterKey(text: string, variable: string): Uint8Array {
  const key = Buffer.from(text.trim(), 'base64');
  if (key.toString('base64') !== text.trim()) throw refuse(variable, 'is not base64');
  if (key.length !== KEY_BYTES) throw refuse(variable, `has ${key.length} bytes`);
  if (new Set(key).size < MIN_DISTINCT_BYTES) throw refuse(variable, 'is not random');
  return key;
}

function refuse(variable: string, finding: string): DomainError {
  return new DomainError('CONFIGURATION', `${variable}: the key ${finding}; allowed are 32 random bytes in base64`, {
    hint: 'Make one with `openssl rand -base64 32`; a key that sealed something already must be kept.',
  });
}
