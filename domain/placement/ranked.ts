import { createHeap } from './heap.ts';
import { fitsOn } from './room.ts';
import type { NodeRoom, Strategy, StrategyInput } from './strategy.ts';

/** How good a node would be with so many more replicas on it: the least is the best. */
export type Rank = (node: NodeRoom, replicas: number, input: StrategyInput) => number;

/** A node while replicas are handed out. */
interface Candidate {
  readonly node: NodeRoom;
  /** How many more replicas fit. */
  readonly fits: number;
  /** How many it has been given. */
  given: number;
  /** Its rank with one more. */
  rank: number;
}

/**
 * Makes a strategy that gives each replica to the node of the best rank, counting every replica before the next is
 * placed. Replicas that must be together go where all of them rank best.
 *
 * A heap keeps the best node on top, so ten thousand replicas on ten thousand nodes take milliseconds.
 */
export function byRank(rank: Rank): Strategy {
  return (input) => (input.request.together ? placeTogether(input, rank) : placeEach(input, rank));
}

function placeEach(input: StrategyInput, rank: Rank): string[] | undefined {
  const heap = createHeap<Candidate>(byCandidateRank);
  for (const node of input.room) {
    const fits = fitsOn(node, input.request);
    if (fits > 0) heap.push({ node, fits, given: 0, rank: rank(node, 1, input) });
  }
  const assignments: string[] = [];
  while (assignments.length < input.request.replicas) {
    const best = heap.first();
    if (!best) return undefined;
    assignments.push(best.node.nodeId);
    best.given += 1;
    if (best.given === best.fits) {
      heap.drop();
      continue;
    }
    const before = best.rank;
    best.rank = rank(best.node, best.given + 1, input);
    if (best.rank > before) heap.sink();
  }
  return assignments;
}

function placeTogether(input: StrategyInput, rank: Rank): string[] | undefined {
  const { request, room } = input;
  const able = room.filter((node) => fitsOn(node, request) >= request.replicas);
  const ranked = able.map((node) => ({ node, rank: rank(node, request.replicas, input) }));
  const best = ranked.sort(byCandidateRank)[0];
  return best && new Array<string>(request.replicas).fill(best.node.nodeId);
}

function byCandidateRank(
  { node: a, rank }: Pick<Candidate, 'node' | 'rank'>,
  { node: b, rank: other }: Pick<Candidate, 'node' | 'rank'>,
): number {
  return rank === other ? Number(a.nodeId > b.nodeId) - Number(a.nodeId < b.nodeId) : rank - other;
}
