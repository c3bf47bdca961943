import { capacityOf, type PlacementNode, type PlacementQuestion, roomOf } from './placement.ts';
import { describeRoom } from './refusal.ts';
import { fitsOn, loadWith } from './room.ts';

/** What became of a node when replicas were placed. */
export interface JudgedNode {
  readonly nodeId: string;
  /** Replicas that it gets; none where another one is better, or where it may take none. */
  readonly replicas: number;
  /** How full it would be with them, or with one: the larger of its two shares, from 0 to 1. */
  readonly fullness: number;
  /** Why it may take none: `cordoned`, `has 0 cores and 512 MiB free`; `null` where it may. */
  readonly barred: string | null;
}

/** Says of each node, by id, what becomes of it with these assignments. */
export function judgeNodes(question: PlacementQuestion, assignments: readonly string[]): JudgedNode[] {
  const given = Map.groupBy(assignments, (nodeId) => nodeId);
  return [...question.nodes]
    .sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1))
    .map((node) => {
      const replicas = given.get(node.nodeId)?.length ?? 0;
      const barred = replicas > 0 ? null : barredBy(node, question);
      return { nodeId: node.nodeId, replicas, fullness: fullnessWith(node, Math.max(1, replicas), question), barred };
    });
}

function barredBy(node: PlacementNode, { request, rules }: PlacementQuestion): string | null {
  if (!node.ready) return node.unready ?? 'not ready';
  const room = roomOf(node, request, rules);
  return room.barred !== null || fitsOn(room, request) === 0 ? describeRoom(room, request) : null;
}

/** The larger of the two shares that would be reserved. */
function fullnessWith(node: PlacementNode, replicas: number, { request, rules }: PlacementQuestion): number {
  const capacity = new Map([[node.nodeId, capacityOf(node, rules)]]);
  return loadWith(roomOf(node, request, rules), replicas, { request, capacity });
}

/** Nodes that an explanation names of each kind; the rest is counted. */
const NAMED_NODES = 5;

/**
 * Says why replicas went where they did: how full each chosen node is with them, how full those would be that were not
 * chosen, and why others could not be.
 *
 * For example `least-loaded: node-a 25 % full with it; node-b would be 50 %; not node-c (cordoned)`.
 */
export function explainPlacement(question: PlacementQuestion, assignments: readonly string[]): string {
  const { rules, after = null } = question;
  const judged = judgeNodes(question, assignments);
  const chosen = judged.filter(({ replicas }) => replicas > 0).map(describeChosen);
  const others = judged.filter(({ replicas }) => replicas === 0);
  const possible = others.filter(({ barred }) => barred === null);
  const impossible = others.filter(({ barred }) => barred !== null);
  const turn = rules.strategy === 'round-robin' && after !== null ? `, after ${after}` : '';
  return [
    `${rules.strategy}${turn}: ${listed(chosen)}`,
    ...(possible.length > 0 ? [`would be ${listed(possible.map((node) => `${node.nodeId} ${percentOf(node)}`))}`] : []),
    ...(impossible.length > 0
      ? [`not ${listed(impossible.map(({ nodeId, barred }) => `${nodeId} (${barred})`))}`]
      : []),
  ].join('; ');
}

function describeChosen(node: JudgedNode): string {
  const what = node.replicas === 1 ? 'it' : `${node.replicas} of them`;
  return `${node.nodeId} ${percentOf(node)} full with ${what}`;
}

function percentOf({ fullness }: JudgedNode): string {
  return `${Math.round(fullness * 100)} %`;
}

function listed(texts: readonly string[]): string {
  const others = texts.length - NAMED_NODES;
  return [...texts.slice(0, NAMED_NODES), ...(others > 0 ? [`${others} more`] : [])].join(', ');
}
