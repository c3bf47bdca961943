import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ServiceImpl } from '@connectrpc/connect';
import { explainReplicas } from '../../adapters/postgres/placement/explain-replicas.ts';
import { type Simulated, simulateLoss } from '../../adapters/postgres/placement/simulate-placement.ts';
import type { JudgedNode } from '../../domain/placement/explain.ts';
import { ONLY_SERVICE } from '../../domain/spec.ts';
import type { JudgedNodeSchema, PlacementService } from '../../gen/obiente/cloud/v1/placement_pb.ts';
import { createRebalances, type RebalanceDeps } from './rebalances.ts';

/** Nodes that an answer names although they would get nothing. */
const NAMED_NODES = 200;

/** What the service needs. */
export type PlacementDeps = RebalanceDeps;

/** Creates the service that says where replicas would go. */
export function createPlacementService(deps: PlacementDeps): ServiceImpl<typeof PlacementService> {
  const { db, placement } = deps;
  return {
    ...createRebalances(deps),
    async explainPlacement({ deploymentId, service, replicas }) {
      const asked = { deploymentId: deploymentId.toLowerCase(), service: service || ONLY_SERVICE, more: replicas };
      const outcome = await explainReplicas(db, asked, placement);
      const judged = outcome.judge();
      const others = judged.filter((node) => node.replicas === 0).slice(0, NAMED_NODES);
      const named = new Set(others);
      const nodes = judged.filter((node) => node.replicas > 0 || named.has(node));
      return { nodes: nodes.map(toWire), refusal: outcome.refusal ?? '' };
    },
    async simulateNodeLoss({ nodeId }) {
      const simulated = await simulateLoss(db, { nodeId }, placement);
      return { deployments: simulated.map(toWireDeployment) };
    },
  };
}

function toWireDeployment({ deploymentId, name, service, outcome }: Simulated) {
  const nodes = outcome.judge().filter(({ replicas }) => replicas > 0);
  return { deploymentId, name, service: service ?? '', nodes: nodes.map(toWire), refusal: outcome.refusal ?? '' };
}

function toWire({ nodeId, replicas, fullness, barred }: JudgedNode): MessageInitShape<typeof JudgedNodeSchema> {
  return { nodeId, replicas, fullness, barred: barred ?? '' };
}
