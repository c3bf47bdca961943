import { CompactEncrypt, compactDecrypt } from 'jose';
import { DomainError } from '../../domain/errors.ts';
import { importPrivate, importPublic, type Jwk } from './keys.ts';

const ALGORITHM = 'ECDH-ES+A256KW';
const ENCRYPTION = 'A256GCM';

/** Kinds of envelopes: one is never taken for another. */
export interface EnvelopeKind {
  /** `typ` of the JWE's header. */
  readonly type: string;
  /** What is in it, in words: "an environment". */
  readonly what: string;
}

/**
 * Encrypts something for one node: a compact JWE of a JSON value.
 *
 * @throws INTERNAL when the node's key cannot be used.
 */
export async function encryptForNode({ type, what }: EnvelopeKind, publicJwk: Jwk, value: unknown): Promise<string> {
  const key = importPublic(publicJwk);
  if (!key) throw new DomainError('INTERNAL', `cannot encrypt ${what}: the key of the node is not a public jwk`);
  return await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(value)))
    .setProtectedHeader({ alg: ALGORITHM, enc: ENCRYPTION, typ: type })
    .encrypt(key);
}

/**
 * Opens what {@link encryptForNode} made.
 *
 * @throws INTERNAL when it is of another kind, not for this key or was changed on its way; without any part of its
 *   content.
 */
export async function decryptOnNode({ type, what }: EnvelopeKind, privateJwk: Jwk, jwe: string): Promise<unknown> {
  const key = importPrivate(privateJwk);
  if (!key) throw new DomainError('CONFIGURATION', `cannot open ${what}: the key of this node is not a private jwk`);
  try {
    const { plaintext, protectedHeader } = await compactDecrypt(jwe, key, {
      keyManagementAlgorithms: [ALGORITHM],
      contentEncryptionAlgorithms: [ENCRYPTION],
    });
    if (protectedHeader.typ !== type) throw new Error(`type ${protectedHeader.typ}`);
    return JSON.parse(new TextDecoder().decode(plaintext));
  } catch {
    // The reason could repeat a part of the plaintext (as a JSON parser does).
    throw new DomainError('INTERNAL', `cannot open ${what}: it is not encrypted for this node or was changed`);
  }
}
