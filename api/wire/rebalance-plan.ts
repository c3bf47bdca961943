import type { MessageInitShape } from '@bufbuild/protobuf';
import type { PlannedMove } from '../../domain/placement/planned-moves.ts';
import type { RebalancePlan } from '../../domain/placement/rebalance.ts';
import type { PlanRebalanceResponseSchema } from '../../gen/obiente/cloud/v1/placement_pb.ts';

/** Puts a plan on the wire, of the nodes only those that it touches. */
export function toWirePlan(plan: RebalancePlan): MessageInitShape<typeof PlanRebalanceResponseSchema> {
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
