import { CompactEncrypt, compactDecrypt } from 'jose';
import { DomainError } from '../../domain/errors.ts';
import { importPrivate, importPublic, type Jwk } from './keys.ts';

const ALGORITHM = 'ECDH-ES+A256KW';
const ENCRYPTION = 'A256GCM';
const TYPE = 'obiente-environment+jwe';

/** A variable with its value in the clear. Never logged, never stored, never sent but in an envelope. */
export interface OpenVariable {
  readonly name: string;
  readonly value: string;
}

/**
 * Encrypts the variables of a revision for one node: a compact JWE of a JSON object from name to value.
 *
 * @throws INTERNAL when the node's key cannot be used.
 */
export async function encryptEnvironment(publicJwk: Jwk, variables: readonly OpenVariable[]): Promise<string> {
  const key = importPublic(publicJwk);
  if (!key) throw new DomainError('INTERNAL', 'cannot encrypt an environment: the key of the node is not a public jwk');
  const object = Object.fromEntries(variables.map(({ name, value }) => [name, value]));
  return await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(object)))
    .setProtectedHeader({ alg: ALGORITHM, enc: ENCRYPTION, typ: TYPE })
    .encrypt(key);
}

/**
 * Opens what {@link encryptEnvironment} made, in the order of the variables.
 *
 * @throws INTERNAL when it is not for this key or was changed on its way; without any part of its content.
 */
export async function decryptEnvironment(privateJwk: Jwk, jwe: string): Promise<OpenVariable[]> {
  const key = importPrivate(privateJwk);
  if (!key)
    throw new DomainError('CONFIGURATION', 'cannot open an environment: the key of this node is not a private jwk');
  try {
    const { plaintext } = await compactDecrypt(jwe, key, {
      keyManagementAlgorithms: [ALGORITHM],
      contentEncryptionAlgorithms: [ENCRYPTION],
    });
    const object: Record<string, string> = JSON.parse(new TextDecoder().decode(plaintext));
    return Object.entries(object).map(([name, value]) => ({ name, value }));
  } catch {
    // The reason could repeat a part of the plaintext (as a JSON parser does).
    throw new DomainError('INTERNAL', 'cannot open an environment: it is not encrypted for this node or was changed');
  }
}
