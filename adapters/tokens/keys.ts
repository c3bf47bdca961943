import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import type { JWK } from 'jose';
import { DomainError } from '../../domain/errors.ts';

/** A JSON Web Key. */
export type Jwk = JWK;

/** A key pair as JSON Web Keys; `kid` is the key's own thumbprint (RFC 7638). */
export interface JwkPair {
  readonly privateJwk: Jwk;
  readonly publicJwk: Jwk;
}

/** The keys of a node: one to sign what it says, one to which its replicas' secrets are encrypted. */
export interface NodeKeys {
  readonly signing: JwkPair;
  readonly encryption: JwkPair;
}

/** Makes the keys of a node (P-256). */
export function generateNodeKeys(): NodeKeys {
  return { signing: generatePair('sig', 'ES256'), encryption: generatePair('enc', 'ECDH-ES+A256KW') };
}

/** Makes the key with which the control plane signs its tokens (P-256). */
export function generateControlKey(): JwkPair {
  return generatePair('sig', 'ES256');
}

function generatePair(use: 'sig' | 'enc', alg: string): JwkPair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicJwk = publicKey.export({ format: 'jwk' });
  const marks = { kid: thumbprint(publicJwk), use, alg };
  return { privateJwk: { ...privateKey.export({ format: 'jwk' }), ...marks }, publicJwk: { ...publicJwk, ...marks } };
}

/** Thumbprint of a P-256 key as RFC 7638 defines it: the same for the private and the public half. */
export function thumbprint(jwk: Jwk): string {
  const { crv, kty, x, y } = jwk;
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}

/** The public half of a P-256 key: nothing but the members that are public. */
export function toPublicJwk(jwk: Jwk): Jwk {
  const { kty, crv, x, y, use, alg } = jwk;
  return { ...definedOnly({ kty, crv, x, y, use, alg }), kid: thumbprint(jwk) };
}

function definedOnly(members: Record<string, string | undefined>): Jwk {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

/**
 * Reads a private P-256 key from the text of its file.
 *
 * @throws CONFIGURATION without repeating anything of the text.
 */
export function parsePrivateJwk(text: string, variable: string): Jwk {
  const jwk = parseObject(text);
  if (jwk?.crv !== 'P-256' || typeof jwk.d !== 'string' || !importPrivate(jwk)) {
    throw new DomainError('CONFIGURATION', `${variable}: the file does not hold a private P-256 key as a jwk`);
  }
  return jwk;
}

/**
 * Reads a public P-256 key that somebody else sent. Private members are refused: such a key is not secret any more.
 *
 * @throws INVALID_ARGUMENT for `field`.
 */
export function parsePublicJwk(text: string, field: string): Jwk {
  const jwk = parseObject(text);
  if (jwk?.kty !== 'EC' || jwk.crv !== 'P-256' || 'd' in jwk || !importPublic(jwk)) {
    throw new DomainError('INVALID_ARGUMENT', `${field}: is not a key; allowed is a public P-256 key as a jwk`, {
      field,
    });
  }
  return toPublicJwk(jwk);
}

function parseObject(text: string): Jwk | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Jwk) : undefined;
  } catch {
    // Not JSON, so not a key: the callers say so in their own words.
    return undefined;
  }
}

/** Imports a private key; `undefined` when it is not one. */
export function importPrivate(jwk: Jwk): KeyObject | undefined {
  try {
    return createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' });
  } catch {
    // The reason may repeat key material; that it is no key says enough.
    return undefined;
  }
}

/** Imports a public key, which includes that its point lies on the curve; `undefined` when it is not one. */
export function importPublic(jwk: Jwk): KeyObject | undefined {
  try {
    return createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
  } catch {
    // As above.
    return undefined;
  }
}
