import { capacityOf, type PlacementNode, type PlacementQuestion, roomOf } from './placement.ts';
import { describeRoom } from './refusal.ts';
import { fitsOn, loadWith } from './room.ts';

/** Nodes that an explanation names of each kind; the rest is counted. */
const NAMED_NODES = 5;

/**
 * Says why replicas went where they did: how full each chosen node is with them, how full those would be that were not
 * chosen, and why others could not be.
 *
 * For example `least-loaded: node-a 25 % full with it; node-b would be 50 %; not node-c (cordoned)`.
 */
export function explainPlacement(question: PlacementQuestion, assignments: readonly string[]): string {
  const { request, nodes, rules, after = null } = question;
  const given = Map.groupBy(assignments, (nodeId) => nodeId);
  const chosen: string[] = [];
  const possible: string[] = [];
  const impossible: string[] = [];
  for (const node of [...nodes].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1))) {
    const { nodeId } = node;
    const room = roomOf(node, request, rules);
    const count = given.get(nodeId)?.length ?? 0;
    const fullness = fullnessWith(node, Math.max(1, count), question);
    if (count > 0) chosen.push(`${nodeId} ${fullness} full with ${count === 1 ? 'it' : `${count} of them`}`);
    else if (!node.ready) impossible.push(`${nodeId} (${node.unready ?? 'not ready'})`);
    else if (room.barred !== null || fitsOn(room, request) === 0) {
      impossible.push(`${nodeId} (${describeRoom(room, request)})`);
    } else possible.push(`${nodeId} ${fullness}`);
  }
  const turn = rules.strategy === 'round-robin' && after !== null ? `, after ${after}` : '';
  return [
    `${rules.strategy}${turn}: ${listed(chosen)}`,
    ...(possible.length > 0 ? [`would be ${listed(possible)}`] : []),
    ...(impossible.length > 0 ? [`not ${listed(impossible)}`] : []),
  ].join('; ');
}

/** The larger of the two shares that would be reserved, in percent. */
function fullnessWith(node: PlacementNode, replicas: number, { request, rules }: PlacementQuestion): string {
  const capacity = new Map([[node.nodeId, capacityOf(node, rules)]]);
  return `${Math.round(loadWith(roomOf(node, request, rules), replicas, { request, capacity }) * 100)} %`;
}

function listed(texts: readonly string[]): string {
  const others = texts.length - NAMED_NODES;
  return [...texts.slice(0, NAMED_NODES), ...(others > 0 ? [`${others} more`] : [])].join(', ');
}
