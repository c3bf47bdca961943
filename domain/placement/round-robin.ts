import { fitsOn } from './room.ts';
import type { Strategy } from './strategy.ts';

/**
 * Gives each replica to the next node by id, beginning behind the one that was chosen last and around again, and passes
 * over those on which it does not fit. A node that has left the cluster still has its place in the order.
 */
export const inRotation: Strategy = ({ request, room, after }) => {
  const start = after === null ? 0 : room.findIndex(({ nodeId }) => nodeId > after);
  const from = start === -1 ? 0 : start;
  const turn = [...room.slice(from), ...room.slice(0, from)].map((node) => ({ node, left: fitsOn(node, request) }));
  if (request.together) {
    const next = turn.find(({ left }) => left >= request.replicas);
    return next && new Array<string>(request.replicas).fill(next.node.nodeId);
  }
  const assignments: string[] = [];
  for (let open = turn; assignments.length < request.replicas; open = open.filter(({ left }) => left > 0)) {
    const given = open.filter(({ left }) => left > 0).slice(0, request.replicas - assignments.length);
    if (given.length === 0) return undefined;
    for (const candidate of given) {
      assignments.push(candidate.node.nodeId);
      candidate.left -= 1;
    }
  }
  return assignments;
};
