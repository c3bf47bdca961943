import { createClusterModel, type ModelNode, type ModelReplica } from './cluster-model.ts';
import { capacityOfAll, fullnessOf, imbalanceOf } from './evenness.ts';
import { listPieces, type PlacedDeployment } from './movable.ts';
import { capacityOf, type PlacementRules } from './placement.ts';
import { createPlanned, type PlannedMove } from './planned-moves.ts';
import { byFullness, type Place, runRound, type Search } from './rebalance-search.ts';

/** What a plan is made of. */
export interface RebalanceQuestion {
  readonly nodes: readonly ModelNode[];
  /** All that is reserved, on whatever node. */
  readonly replicas: readonly ModelReplica[];
  /** What is not among them stays where it is. */
  readonly deployments: readonly PlacedDeployment[];
  /** Those of the platform. */
  readonly rules: PlacementRules;
  readonly limits?: Partial<RebalanceLimits>;
}

/** How much a plan may do. */
export interface RebalanceLimits {
  /** Moves in the answer. */
  readonly moves: number;
  /** Pairs of something and a node that are looked at. */
  readonly looks: number;
}

/** Two hundred moves are some hours of work; twenty million looks take some seconds at most. */
export const REBALANCE_LIMITS: RebalanceLimits = { moves: 200, looks: 20_000_000 };

/** A ready node before all moves and after them. Shares as placement sees them, 1 is full. */
export interface RebalancedNode {
  readonly nodeId: string;
  readonly before: number;
  readonly after: number;
}

/** Moves in the order in which each has room, and what they would do. */
export interface RebalancePlan {
  readonly moves: readonly PlannedMove[];
  /** All ready nodes, by id. */
  readonly nodes: readonly RebalancedNode[];
  /** See {@link imbalanceOf}. */
  readonly imbalance: { readonly before: number; readonly after: number };
  /** Whether there may be more to move once these moves are made. */
  readonly more: boolean;
}

/**
 * Plans moves that bring the shares of the ready nodes closer together; changes nothing.
 *
 * Again and again something goes from the fullest node from which anything can go to the emptiest node that takes it:
 * of all that could go, what makes the nodes most even. Each move is one that a placement could make, by the same
 * rules; leaves the node that it goes to at least five points less full than the other one was; lowers
 * {@link imbalanceOf}; and brings no more replicas of a service together, on a node or in a place of its label, than
 * were where it comes from. Nothing leaves a node on which it is the neighbour of something.
 *
 * The same question has the same answer, in whatever order its parts are given. When the answer says that there is no
 * more, the answer after all of its moves is empty. Nothing is moved twice by one plan.
 */
export function planRebalance(question: RebalanceQuestion): RebalancePlan {
  const { moves: most, looks } = { ...REBALANCE_LIMITS, ...question.limits };
  const search = createSearch(question, looks);
  const imbalance = imbalanceOf(search.order);
  const before = new Map(search.order.map((place) => [place.node.nodeId, copyOf(place)]));
  const planned = createPlanned(most);
  const isOver = (): boolean => planned.isFull() || search.looksLeft <= 0;
  while (runRound(search, planned.add) > 0 && !isOver());
  const places = search.order.toSorted((one, other) => (one.node.nodeId < other.node.nodeId ? -1 : 1));
  return {
    nodes: places.map(({ node: { nodeId }, fullness }) => {
      return { nodeId, before: before.get(nodeId)?.fullness ?? fullness, after: fullness };
    }),
    moves: planned.list(before),
    imbalance: { before: imbalance, after: imbalanceOf(places) },
    more: isOver() || search.isHeldBack,
  };
}

function copyOf(place: Place): Place {
  return { ...place, reserved: { ...place.reserved } };
}

function createSearch({ nodes, replicas, deployments, rules }: RebalanceQuestion, looks: number): Search {
  const ready = new Map(nodes.filter((node) => node.ready).map((node) => [node.nodeId, node]));
  const places = new Map<string, Place>();
  for (const node of ready.values()) {
    const reserved = { cpuCores: 0, memoryBytes: 0 };
    places.set(node.nodeId, { node, capacity: capacityOf(node, rules), reserved, fullness: 0, pieces: new Set() });
  }
  for (const { nodeId, cpuCores, memoryBytes } of replicas) {
    const place = places.get(nodeId);
    if (!place) continue;
    place.reserved.cpuCores += cpuCores;
    place.reserved.memoryBytes += memoryBytes;
  }
  for (const place of places.values()) place.fullness = fullnessOf(place);
  for (const piece of listPieces({ nodes: ready, replicas, deployments, rules }))
    for (const nodeId of piece.on.keys()) places.get(nodeId)?.pieces.add(piece);
  const near = deployments.filter(({ nearId }) => nearId !== null);
  return {
    model: createClusterModel({ nodes, replicas, after: null }, rules),
    order: [...places.values()].sort(byFullness),
    all: capacityOfAll(places.values()),
    nearTo: Map.groupBy(near, ({ nearId }) => nearId ?? ''),
    looksLeft: looks,
    isHeldBack: false,
    tooLarge: new Map(),
    unmet: new Map(),
    nowhere: new Map(),
    moved: new Map(),
  };
}
