import { keysOf } from './control-token.ts';
import { createInternalSigner, type Now, verifyInternal } from './internal-token.ts';
import type { Jwk } from './keys.ts';
import { refuseToken } from './refusal.ts';

const TYPE = 'obiente-swarm+jwt';
const ISSUER = 'obiente-control';

/** Who asks a manager. */
export interface SwarmClaim {
  /** The calling node. */
  readonly nodeId: string;
  /** Swarm's id of its host: what is pinned to another one is none of its business. */
  readonly swarmNodeId: string;
  /** Under which it has its lease. */
  readonly epoch: number;
}

/** Signs that a node on a worker may ask one on a manager for services of its own. */
export interface SwarmTokenSigner {
  /** Signs a token for the manager's node; it is valid for 5 min. */
  sign(of: SwarmClaim & { readonly manager: string }): Promise<string>;
}

/** Creates the signer of swarm tokens from the control plane's private key. */
export function createSwarmTokenSigner(privateJwk: Jwk, now: Now = () => new Date()): SwarmTokenSigner {
  const sign = createInternalSigner(privateJwk, now);
  return {
    sign: ({ nodeId, swarmNodeId, epoch, manager }) =>
      sign({
        ...{ type: TYPE, issuer: ISSUER, subject: nodeId, audience: `node:${manager}` },
        more: { swarm_node: swarmNodeId, epoch: String(epoch) },
      }),
  };
}

/** Verifies swarm tokens. */
export interface SwarmTokenVerifier {
  /** Answers who asks. @throws UNAUTHENTICATED */
  verify(token: string): Promise<SwarmClaim>;
}

/** Creates the verifier of the node with this id; the keys are as for control tokens. */
export function createSwarmTokenVerifier(options: {
  getJwks: () => string | undefined;
  nodeId: string;
  now?: Now;
}): SwarmTokenVerifier {
  const { getJwks, nodeId, now = () => new Date() } = options;
  const expected = { type: TYPE, issuer: ISSUER, audience: `node:${nodeId}`, now };
  return {
    verify: async (token) => {
      const { sub, swarm_node, epoch } = await verifyInternal(token, keysOf(getJwks()), expected);
      if (sub === undefined || typeof swarm_node !== 'string' || !/^[0-9a-z]{25}$/.test(swarm_node)) {
        throw refuseToken('it names no host of a swarm');
      }
      if (typeof epoch !== 'string' || !/^\d{1,15}$/.test(epoch)) throw refuseToken('its epoch is malformed');
      return { nodeId: sub, swarmNodeId: swarm_node, epoch: Number(epoch) };
    },
  };
}
