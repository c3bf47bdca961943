import type { NodeRecord } from '../../adapters/postgres/nodes.ts';
import { NodeState } from '../../gen/obiente/cloud/v1/nodes_pb.ts';

const STATE: Record<NodeRecord['state'], NodeState> = {
  ready: NodeState.READY,
  degraded: NodeState.DEGRADED,
  lost: NodeState.LOST,
  draining: NodeState.DRAINING,
  cordoned: NodeState.CORDONED,
};

/** Says what a node is. One in trouble is told as that: the more urgent of the two. */
export function toWireNodeState({ state, cordoned }: Pick<NodeRecord, 'state' | 'cordoned'>): NodeState {
  return STATE[cordoned && state === 'ready' ? 'cordoned' : state];
}
