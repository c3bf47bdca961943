import { fullnessOf } from './evenness.ts';
import type { Move, Place } from './rebalance-search.ts';

/** A move as it is carried out: an operation of one deployment. */
export interface PlannedMove {
  readonly deploymentId: string;
  /** Name of the deployment. */
  readonly name: string;
  /** Node ids. */
  readonly from: string;
  readonly to: string;
  /** How many replicas; all that it has where its services go together. */
  readonly replicas: number;
  /** Whether all of its services go together. */
  readonly isWhole: boolean;
  /** How full both nodes are before the move and after it, for people. */
  readonly why: string;
}

/** Moves that are collected. */
export interface Planned {
  /** Takes a move, as part of an earlier one where that makes no difference. @returns whether there was room. */
  add(move: Move): boolean;
  /** Whether a move had no room. */
  isFull(): boolean;
  /** All moves, with what each does. @param places the ready nodes before all of them; they are changed. */
  list(places: ReadonlyMap<string, Place>): PlannedMove[];
}

interface Entry {
  readonly move: Move;
  count: number;
}

/**
 * Creates a list of moves that are made one after the other, of so many at most.
 *
 * Several of the same from one node to the same other are one move, as long as nothing else has come to either of them
 * or left it meanwhile: then it makes no difference to what is between.
 */
export function createPlanned(most: number): Planned {
  const entries: Entry[] = [];
  /** What was the last to come to a node or to leave it. */
  const latest = new Map<string, Entry>();
  let isFull = false;

  const joined = ({ piece, from, to }: Move): Entry | undefined => {
    const entry = latest.get(from.node.nodeId);
    const isSame = entry?.move.piece === piece && entry.move.from === from && entry.move.to === to;
    return isSame && latest.get(to.node.nodeId) === entry ? entry : undefined;
  };

  return {
    add: (move) => {
      const known = joined(move);
      if (known) {
        known.count += 1;
        return true;
      }
      isFull = entries.length >= most;
      if (isFull) return false;
      const entry = { move, count: 1 };
      entries.push(entry);
      latest.set(move.from.node.nodeId, entry).set(move.to.node.nodeId, entry);
      return true;
    },
    isFull: () => isFull,
    list: (places) => entries.map((entry) => describe(entry, places)),
  };
}

/** Makes a move in a copy of the cluster, and tells of it. */
function describe({ move: { piece, from, to }, count }: Entry, places: ReadonlyMap<string, Place>): PlannedMove {
  const { deploymentId, name, isWhole } = piece.deployment;
  const [one, other] = [places.get(from.node.nodeId) ?? from, places.get(to.node.nodeId) ?? to];
  const fullness = (): string[] => [one, other].map((place) => `${Math.round(fullnessOf(place) * 100)} %`);
  const before = fullness();
  for (const part of ['cpuCores', 'memoryBytes'] as const) {
    one.reserved[part] -= count * piece.size[part];
    other.reserved[part] += count * piece.size[part];
  }
  const after = fullness();
  const { nodeId: left } = from.node;
  const { nodeId: came } = to.node;
  return {
    ...{ deploymentId, name, isWhole, from: left, to: came },
    replicas: isWhole ? piece.replicas.length : count,
    why: `${left} is ${before[0]} full and ${came} ${before[1]}, then ${after[0]} and ${after[1]}`,
  };
}
