import type { StoredGitCredential } from '../../domain/git-credential.ts';
import type { Jwk } from './keys.ts';
import { decryptOnNode, type EnvelopeKind, encryptForNode } from './node-envelope.ts';

const KIND: EnvelopeKind = { type: 'obiente-git-credential+jwe', what: 'a git credential' };

/**
 * Encrypts a credential for one node: a compact JWE of a JSON object.
 *
 * @throws INTERNAL when the node's key cannot be used.
 */
export async function encryptGitCredential(publicJwk: Jwk, credential: StoredGitCredential): Promise<string> {
  return await encryptForNode(KIND, publicJwk, credential);
}

/**
 * Opens what {@link encryptGitCredential} made.
 *
 * @throws INTERNAL when it is not for this key or was changed on its way; without any part of its content.
 */
export async function decryptGitCredential(privateJwk: Jwk, jwe: string): Promise<StoredGitCredential> {
  return (await decryptOnNode(KIND, privateJwk, jwe)) as StoredGitCredential;
}
