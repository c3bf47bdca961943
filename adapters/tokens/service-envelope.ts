import type { Jwk } from './keys.ts';
import { decryptOnNode, type EnvelopeKind, encryptForNode } from './node-envelope.ts';

const KIND: EnvelopeKind = { type: 'obiente-swarm-service+jwe', what: 'a service' };

/** Encrypts a service, with the variables that are in it, for the node that is to make it. @throws INTERNAL */
export async function encryptService(publicJwk: Jwk, spec: object): Promise<string> {
  return await encryptForNode(KIND, publicJwk, spec);
}

/** Opens what {@link encryptService} made: whatever the sender has put in. @throws INTERNAL, without any part of it */
export async function decryptService(privateJwk: Jwk, jwe: string): Promise<unknown> {
  return await decryptOnNode(KIND, privateJwk, jwe);
}
