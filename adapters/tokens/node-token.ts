import { decodeJwt, type JWTPayload } from 'jose';
import { isCanonicalCompact } from './compact-form.ts';
import { createInternalSigner, type Now, verifyInternal } from './internal-token.ts';
import { importPublic, type Jwk } from './keys.ts';
import { refuseToken } from './refusal.ts';

const TYPE = 'obiente-node+jwt';
const AUDIENCE = 'obiente-control';
const NODE_ID = /^[a-z0-9-]{8,64}$/;

/** Signs what a node says to the control plane. */
export interface NodeTokenSigner {
  /** Signs a token that is valid for 5 min, for a process that has the node's lease under that epoch. */
  sign(epoch: number): Promise<string>;
}

/** Creates the signer of a node's tokens from its private signing key. */
export function createNodeTokenSigner(privateJwk: Jwk, nodeId: string, now: Now = () => new Date()): NodeTokenSigner {
  const sign = createInternalSigner(privateJwk, now);
  const claims = { type: TYPE, issuer: nodeId, subject: nodeId, audience: AUDIENCE };
  return { sign: (epoch) => sign({ ...claims, more: { epoch: String(epoch) } }) };
}

/** Verifies a node's token. */
export interface NodeTokenVerifier {
  /**
   * Answers which node speaks, and under which epoch of its lease: 0 for one of before leases had epochs.
   *
   * @throws UNAUTHENTICATED, in the same words for a node that is not enrolled and for a wrong signature.
   */
  verify(token: string): Promise<{ nodeId: string; epoch: number }>;
}

/**
 * Creates the verifier of nodes' tokens.
 *
 * @param options.findSigningJwk the public signing key with which a node enrolled, as JSON text.
 */
export function createNodeTokenVerifier(options: {
  findSigningJwk: (nodeId: string) => Promise<string | undefined>;
  now?: Now;
}): NodeTokenVerifier {
  const { findSigningJwk, now = () => new Date() } = options;
  return {
    verify: async (token) => {
      const nodeId = claimedNodeId(token);
      const jwk = await findSigningJwk(nodeId);
      const key = jwk === undefined ? undefined : importPublic(JSON.parse(jwk));
      const getKey = async () => {
        if (!key) throw refuseToken('its signature is not valid');
        return key;
      };
      const claims = await verifyInternal(token, getKey, { type: TYPE, issuer: nodeId, audience: AUDIENCE, now });
      return { nodeId, epoch: epochOf(claims) };
    },
  };
}

function epochOf({ epoch = '0' }: JWTPayload): number {
  if (typeof epoch === 'string' && /^\d{1,15}$/.test(epoch)) return Number(epoch);
  throw refuseToken('its epoch is malformed');
}

/** The node that a token claims to be from: unproven, good only for finding the key that proves it. */
function claimedNodeId(token: string): string {
  const { sub } = isCanonicalCompact(token, 3) ? decodeOrNothing(token) : {};
  if (sub === undefined || !NODE_ID.test(sub)) throw refuseToken('it is malformed');
  return sub;
}

function decodeOrNothing(token: string): { sub?: string } {
  try {
    const { sub } = decodeJwt(token);
    return typeof sub === 'string' ? { sub } : {};
  } catch {
    // Not a JWT at all; the caller refuses it.
    return {};
  }
}
