import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ServiceImpl } from '@connectrpc/connect';
import type { Database } from '../../adapters/postgres/database.ts';
import { readRebalancePlan } from '../../adapters/postgres/plan-rebalance.ts';
import { type Simulated, simulateLoss, simulateReplicas } from '../../adapters/postgres/simulate-placement.ts';
import type { JudgedNode } from '../../domain/placement/explain.ts';
import type { PlacementRules } from '../../domain/placement/placement.ts';
import type { PlannedMove } from '../../domain/placement/planned-moves.ts';
import { REBALANCE_LIMITS, type RebalancePlan } from '../../domain/placement/rebalance.ts';
import { ONLY_SERVICE } from '../../domain/spec.ts';
import type {
  JudgedNodeSchema,
  PlacementService,
  PlanRebalanceResponseSchema,
} from '../../gen/obiente/cloud/v1/placement_pb.ts';

/** Nodes that an answer names although they would get nothing. */
const NAMED_NODES = 200;

/** What the service needs. */
export interface PlacementDeps {
  readonly db: Database;
  /** Those of the orchestrators. */
  readonly placement: PlacementRules;
}

/** Creates the service that says where replicas would go. */
export function createPlacementService({ db, placement }: PlacementDeps): ServiceImpl<typeof PlacementService> {
  return {
    async explainPlacement({ deploymentId, service, replicas }) {
      const asked = { deploymentId: deploymentId.toLowerCase(), service: service || ONLY_SERVICE, more: replicas };
      const { outcome } = await simulateReplicas(db, asked, placement);
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
    async planRebalance({ maxMoves }) {
      const moves = maxMoves || REBALANCE_LIMITS.moves;
      return toWirePlan(await readRebalancePlan(db, { moves }, placement));
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

function toWirePlan(plan: RebalancePlan): MessageInitShape<typeof PlanRebalanceResponseSchema> {
  const { moves, nodes, imbalance, more } = plan;
  const touched = new Set(moves.flatMap(({ from, to }) => [from, to]));
  const evenness = (when: 'before' | 'after') => {
    const shares = nodes.map((node) => node[when]).toSorted((one, other) => one - other);
    return { emptiest: shares[0] ?? 0, fullest: shares.at(-1) ?? 0, imbalance: imbalance[when] };
  };
  return {
    moves: moves.map(toWireMove),
    nodes: nodes.filter(({ nodeId }) => touched.has(nodeId)),
    readyNodes: nodes.length,
    ...{ before: evenness('before'), after: evenness('after'), more },
  };
}

function toWireMove({ deploymentId, name, from, to, replicas, isWhole, why }: PlannedMove) {
  return { deploymentId, name, fromNodeId: from, toNodeId: to, replicas, whole: isWhole, why };
}
