import type { ControlTokenSigner } from '../../adapters/tokens/control-token.ts';
import { NodeGatewayService, type SwarmNode } from '../../gen/obiente/internal/v1/gateways_pb.ts';
import { createGatewayClients } from './gateway-clients.ts';

/** A manager answers in milliseconds; one that does not is passed over. */
const ANSWERS_WITHIN_MS = 3_000;

/** Asks a node on a manager which hosts its Docker Swarm has. */
export interface SwarmHosts {
  /** @returns `undefined` when it does not answer, or is on no manager */
  list(manager: { readonly nodeId: string; readonly gatewayUrl: string }): Promise<readonly SwarmNode[] | undefined>;
}

/** Creates what asks. Every call carries a token for that one node. */
export function createSwarmHosts({ signer }: { readonly signer: ControlTokenSigner }): SwarmHosts {
  const clientOf = createGatewayClients(NodeGatewayService, signer);
  return {
    list: async ({ nodeId, gatewayUrl: url }) => {
      const client = clientOf({ url, audience: `node:${nodeId}` });
      // Whatever is the matter with this one, another manager knows as much.
      const answer = await client.listSwarmNodes({}, { timeoutMs: ANSWERS_WITHIN_MS }).catch(() => undefined);
      return answer?.nodes;
    },
  };
}
