import type { RegistryCredential } from '../../domain/registry-credential.ts';
import type { Jwk } from './keys.ts';
import { decryptOnNode, type EnvelopeKind, encryptForNode } from './node-envelope.ts';

const KIND: EnvelopeKind = { type: 'obiente-registry-credential+jwe', what: 'a registry credential' };

/**
 * Encrypts a credential for one node: a compact JWE of a JSON object.
 *
 * @throws INTERNAL when the node's key cannot be used.
 */
export async function encryptRegistryCredential(publicJwk: Jwk, credential: RegistryCredential): Promise<string> {
  const { id, username, password } = credential;
  return await encryptForNode(KIND, publicJwk, { id, username, password });
}

/**
 * Opens what {@link encryptRegistryCredential} made.
 *
 * @throws INTERNAL when it is not for this key or was changed on its way; without any part of its content.
 */
export async function decryptRegistryCredential(privateJwk: Jwk, jwe: string): Promise<RegistryCredential> {
  return (await decryptOnNode(KIND, privateJwk, jwe)) as RegistryCredential;
}
