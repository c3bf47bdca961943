import type { NodeRecord } from '../../adapters/postgres/nodes.ts';
import { NodeState } from '../../gen/obiente/cloud/v1/nodes_pb.ts';

const STATE: Record<NodeRecord['state'], NodeState> = {
  ready: NodeState.READY,
  degraded: NodeState.DEGRADED,
  lost: NodeState.LOST,
  draining: NodeState.DRAINING,
  cordoned: NodeState.CORDONED,
};

/** Says what a node is. One in trouble is told as that: the most urgent comes first. */
export function toWireNodeState(node: Pick<NodeRecord, 'state' | 'cordoned' | 'draining'>): NodeState {
  const { state, cordoned, draining } = node;
  if (state !== 'ready') return STATE[state];
  if (draining) return NodeState.DRAINING;
  return cordoned ? NodeState.CORDONED : NodeState.READY;
}
