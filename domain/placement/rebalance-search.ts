import type { ClusterModel, ModelNode } from './cluster-model.ts';
import { fullnessOf, fullnessWith, gainOf, steady } from './evenness.ts';
import { createHeap } from './heap.ts';
import type { Piece, PlacedDeployment } from './movable.ts';
import { meets } from './policy.ts';
import { fitsOn } from './room.ts';
import type { Capacity } from './strategy.ts';

/**
 * How much a move must be worth: the node that something goes to is less full with it than the other one was without
 * the move, by more than this. Five points: a start elsewhere is not worth less, and what a node reserves goes up and
 * down by as much from one deploy to the next.
 */
export const REBALANCE_THRESHOLD = 0.05;

/** Asking the rules of placement takes as long as twenty looks at numbers: 1.3 µs. */
const LOOKS_OF_A_QUESTION = 20;

/** A ready node while moves are looked for. */
export interface Place {
  readonly node: ModelNode;
  readonly capacity: Capacity;
  readonly reserved: { cpuCores: number; memoryBytes: number };
  /** The larger of its two shares. */
  fullness: number;
  /** What could leave it. */
  readonly pieces: Set<Piece>;
}

/** One of a piece that goes from one node to another. */
export interface Move {
  readonly piece: Piece;
  readonly from: Place;
  readonly to: Place;
  /** By how much it makes the nodes more even, for comparison with other moves. */
  readonly gain: number;
}

/** Where the search stands. */
export interface Search {
  readonly model: ClusterModel;
  /** The ready nodes, the emptiest first. */
  readonly order: Place[];
  /** What they may reserve together. */
  readonly all: Capacity;
  /** By deployment, those that are near it. */
  readonly nearTo: ReadonlyMap<string, readonly PlacedDeployment[]>;
  looksLeft: number;
  /** Whether something stays only because the plan has moved it already. */
  isHeldBack: boolean;
  /** Sizes, with constraints, that leave no node of that fullness or less: wherever they went, it would be as full. */
  readonly tooLarge: Map<string, number>;
  /** Constraints, of which what has them leaves no node of that fullness or less: no emptier one meets them. */
  readonly unmet: Map<string, number>;
  /** Pieces that leave no node of that fullness or less: no emptier one takes them. */
  readonly nowhere: Map<Piece, number>;
  /** Which nodes a piece has left, and to which ones it has come. */
  readonly moved: Map<Piece, { readonly left: Set<string>; readonly came: Set<string> }>;
}

/** Orders nodes, the emptiest first. */
export function byFullness(one: Place, other: Place): number {
  return one.fullness - other.fullness || (one.node.nodeId < other.node.nodeId ? -1 : 1);
}

/**
 * Makes one move after the other, each from the fullest node from which something can go, until nothing can go from
 * any: a node is looked at again after it has given something, not after it has got something. So nothing is left
 * once a round has made no move.
 *
 * @param accept is told of each move before it is made; `false` ends the round without it.
 * @returns how many moves it made.
 */
export function runRound(search: Search, accept: (move: Move) => boolean): number {
  search.tooLarge.clear();
  search.unmet.clear();
  search.nowhere.clear();
  search.isHeldBack = false;
  const sources = createHeap<Source>(byFullest);
  for (const place of search.order) sources.push({ place, fullness: place.fullness });
  let made = 0;
  for (let source = sources.first(); source; source = sources.first()) {
    const { place } = source;
    source.fullness = place.fullness;
    if (!isFuller(place, search.order[0])) break;
    const move = findMove(search, place);
    if (search.looksLeft <= 0 || (move && !accept(move))) break;
    if (!move) {
      sources.drop();
      continue;
    }
    makeMove(search, move);
    made += 1;
    source.fullness = place.fullness;
    sources.sink();
  }
  return made;
}

/** A node in the line of those from which something may go. */
interface Source {
  readonly place: Place;
  /** By which it stands in the line. */
  fullness: number;
}

function byFullest(one: Source, other: Source): number {
  return other.fullness - one.fullness || (one.place.node.nodeId < other.place.node.nodeId ? -1 : 1);
}

function isFuller(place: Place, than: Place | undefined): boolean {
  return than !== undefined && steady(place.fullness - than.fullness) > REBALANCE_THRESHOLD;
}

/** Of all that can go from a node, each to the emptiest one that takes it, what makes the nodes most even. */
function findMove(search: Search, from: Place): Move | undefined {
  let best: Move | undefined;
  for (const piece of from.pieces) {
    if (isNeeded(search, piece, from)) continue;
    const found = findTarget(search, piece, from);
    if (found && (!best || isBetter(found, best))) best = found;
  }
  return best;
}

function isBetter(one: Move, other: Move): boolean {
  if (one.gain !== other.gain) return one.gain > other.gain;
  return one.piece.deployment.deploymentId < other.piece.deployment.deploymentId;
}

/** Whether it is the last one of its deployment on a node where others are because of it. */
function isNeeded({ model, nearTo }: Search, { deployment, on }: Piece, { node }: Place): boolean {
  if (on.get(node.nodeId) !== 1) return false;
  const others = nearTo.get(deployment.deploymentId) ?? [];
  return others.some(({ deploymentId }) => model.holds(node.nodeId, deploymentId));
}

function findTarget(search: Search, piece: Piece, from: Place): Move | undefined {
  const { tooLarge, unmet, nowhere } = search;
  const { bound } = piece;
  const size = `${piece.size.cpuCores} ${piece.size.memoryBytes} ${bound}`;
  const known = [tooLarge.get(size), unmet.get(bound), nowhere.get(piece)];
  if (known.some((fullness = 0) => from.fullness <= fullness)) return undefined;
  let isUnmet = true;
  let isTooLarge = true;
  let isNowhere = true;
  for (const to of search.order) {
    if (!isFuller(from, to)) break;
    search.looksLeft -= 1;
    if (search.looksLeft <= 0) return undefined;
    if (!piece.deployment.policy.constraints.every((constraint) => meets(to.node, constraint))) continue;
    isUnmet = false;
    if (steady(from.fullness - fullnessWith(to, piece.size)) <= REBALANCE_THRESHOLD) continue;
    isTooLarge = false;
    const gain = worthOf(search, piece, { from, to });
    if (gain > 0 && !takes(search, piece, to)) continue;
    isNowhere = false;
    if (gain > 0 && suits(piece, from, to) && !isHeldBack(search, piece, { from, to }))
      return { piece, from, to, gain };
  }
  // What no node has room for now has none while nodes only get more; the next round looks again.
  if (isUnmet) unmet.set(bound, from.fullness);
  else if (isTooLarge) tooLarge.set(size, from.fullness);
  else if (isNowhere) nowhere.set(piece, from.fullness);
  return undefined;
}

/** What a move gains, as if all nodes were as large as their mean; nothing where that is too little for what it moves. */
function worthOf({ all, order }: Search, { size }: Piece, between: Pick<Move, 'from' | 'to'>): number {
  const { gain, size: moved } = gainOf({ size, ...between }, all);
  return steady(order.length * (gain - REBALANCE_THRESHOLD * moved)) > 0 ? steady(order.length * gain) : 0;
}

/** Whether a placement could put it there: the same rules. */
function takes(search: Search, { demands }: Piece, { node }: Place): boolean {
  const { model } = search;
  search.looksLeft -= LOOKS_OF_A_QUESTION;
  return demands.every((demand) => {
    const room = model.roomOn(node.nodeId, demand);
    return room?.barred === null && fitsOn(room, demand.request) >= demand.request.replicas;
  });
}

/** Whether it is no worse there: its images run, and no more of it come together than were where it is. */
function suits({ deployment, on, spread }: Piece, { node: from }: Place, { node: to }: Place): boolean {
  if (deployment.isBuilt && from.architecture !== to.architecture) return false;
  if ((on.get(to.nodeId) ?? 0) >= (on.get(from.nodeId) ?? 0)) return false;
  if (!spread) return true;
  const [here, there] = [spread.domainOn(from), spread.domainOn(to)];
  return here === there || (spread.counts.get(there) ?? 0) < (spread.counts.get(here) ?? 0);
}

/** Whether it would be the second move of the same: what came in this plan stays, and what left does not come back. */
function isHeldBack(search: Search, piece: Piece, { from, to }: Pick<Move, 'from' | 'to'>): boolean {
  const moved = search.moved.get(piece);
  const isSecond = moved !== undefined && (moved.came.has(from.node.nodeId) || moved.left.has(to.node.nodeId));
  if (isSecond) search.isHeldBack = true;
  return isSecond;
}

function makeMove(search: Search, { piece, from, to }: Move): void {
  const { model, moved } = search;
  const [left, came] = [from.node.nodeId, to.node.nodeId];
  for (const replica of piece.replicas) {
    model.release({ ...replica, nodeId: left });
    model.reserve({ ...replica, nodeId: came });
  }
  shift(search.order, from, { piece, by: -1 });
  shift(search.order, to, { piece, by: 1 });
  const known = moved.get(piece) ?? { left: new Set<string>(), came: new Set<string>() };
  known.left.add(left);
  known.came.add(came);
  moved.set(piece, known);
}

function shift(order: Place[], place: Place, { piece, by }: { readonly piece: Piece; readonly by: 1 | -1 }): void {
  order.splice(indexIn(order, place), 1);
  place.reserved.cpuCores += by * piece.size.cpuCores;
  place.reserved.memoryBytes += by * piece.size.memoryBytes;
  place.fullness = fullnessOf(place);
  order.splice(indexIn(order, place), 0, place);
  const { node } = place;
  if (add(piece.on, node.nodeId, by) > 0) place.pieces.add(piece);
  else place.pieces.delete(piece);
  if (piece.spread) add(piece.spread.counts, piece.spread.domainOn(node), by);
}

function add(counts: Map<string, number>, key: string, by: number): number {
  const count = (counts.get(key) ?? 0) + by;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
  return count;
}

/** Where a node is in the order, or would be. */
function indexIn(order: readonly Place[], place: Place): number {
  let [low, high] = [0, order.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = order[middle];
    if (other && other !== place && byFullness(other, place) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
