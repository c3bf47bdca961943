import { z } from 'zod';
import type { Jwk } from './keys.ts';
import { decryptOnNode, type EnvelopeKind, encryptForNode } from './node-envelope.ts';

const KIND: EnvelopeKind = { type: 'obiente-membership+jwe', what: 'the membership of a node' };

const schema = z.object({
  instance: z.string(),
  temporalAddress: z.string(),
  temporalNamespace: z.string(),
  payloadKeys: z.string(),
  metricsDatabaseUrl: z.string().nullable(),
});

/** What a node is told when it joins. */
export interface Membership {
  /** Instance id of the installation. */
  readonly instance: string;
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
  /** Keys of what Temporal stores, one a line, in base64. */
  readonly payloadKeys: string;
  /** Where its streamer writes minutes, as a role that can only insert; `null`: it has none. */
  readonly metricsDatabaseUrl: string | null;
}

/** Encrypts a membership for one node: whoever reads along, or asks again with another key, learns nothing. */
export async function encryptMembership(publicJwk: Jwk, membership: Membership): Promise<string> {
  return await encryptForNode(KIND, publicJwk, membership);
}

/** Opens what {@link encryptMembership} made. @throws INTERNAL, without any part of its content */
export async function decryptMembership(privateJwk: Jwk, jwe: string): Promise<Membership> {
  return schema.parse(await decryptOnNode(KIND, privateJwk, jwe));
}
