import type { Jwk } from './keys.ts';
import { decryptOnNode, type EnvelopeKind, encryptForNode } from './node-envelope.ts';

const KIND: EnvelopeKind = { type: 'obiente-environment+jwe', what: 'an environment' };

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
  return await encryptForNode(KIND, publicJwk, Object.fromEntries(variables.map(({ name, value }) => [name, value])));
}

/**
 * Opens what {@link encryptEnvironment} made, in the order of the variables.
 *
 * @throws INTERNAL when it is not for this key or was changed on its way; without any part of its content.
 */
export async function decryptEnvironment(privateJwk: Jwk, jwe: string): Promise<OpenVariable[]> {
  const object = (await decryptOnNode(KIND, privateJwk, jwe)) as Record<string, string>;
  return Object.entries(object).map(([name, value]) => ({ name, value }));
}
