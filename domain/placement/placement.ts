import { chooseLeastLoaded } from './least-loaded.ts';

/** Replicas of one deployment that need a place, all of the same size. */
export interface PlacementRequest {
  /** Name of the deployment, for people. */
  readonly name: string;
  readonly replicas: number;
  /** What one replica reserves. */
  readonly cpuCores: number;
  readonly memoryBytes: number;
  /** Whether all of them must be on one node, as those of an image that only its builder has. */
  readonly together: boolean;
}

/** A node as placement sees it. */
export interface PlacementNode {
  readonly nodeId: string;
  /** Whether it takes new replicas. */
  readonly ready: boolean;
  /** What it has. */
  readonly cpuCores: number;
  readonly memoryBytes: number;
  /** What is reserved on it. */
  readonly reservedCpuCores: number;
  readonly reservedMemoryBytes: number;
  /** How many other deployments have replicas on it. */
  readonly otherDeployments: number;
}

/** How nodes are filled. */
export interface PlacementRules {
  readonly strategy: 'least-loaded';
  /** A node takes replicas of this many deployments. */
  readonly maxDeploymentsPerNode: number;
  /**
   * How many times its cores a node may reserve. A CPU limit is a ceiling that is rarely reached, and cores that are
   * wanted twice are shared; memory that is wanted twice kills, so that is never promised twice.
   */
  readonly cpuOvercommit: number;
}

/** What a node can still take. */
export interface NodeRoom {
  readonly nodeId: string;
  readonly cpuCores: number;
  readonly memoryBytes: number;
  /** Whether it holds as many deployments as it may. */
  readonly isFull: boolean;
}

/** Why nothing was placed. */
export type PlacementRefusal =
  | { readonly code: 'NO_NODE_READY'; readonly nodes: number }
  | { readonly code: 'INSUFFICIENT_CAPACITY'; readonly room: readonly NodeRoom[] };

/** Either a node for each replica, by index, or why not: never a part. */
export type Placement =
  | { readonly assignments: readonly string[]; readonly refusal?: never }
  | { readonly assignments?: never; readonly refusal: PlacementRefusal };

/** What placement needs to know. */
export interface PlacementQuestion {
  readonly request: PlacementRequest;
  readonly nodes: readonly PlacementNode[];
  readonly rules: PlacementRules;
}

/**
 * Chooses a node for every replica, or says why it cannot. Changes nothing: reserving is the caller's, in the same
 * transaction as the reading.
 *
 * The same question has the same answer, in whatever order the nodes are given: ties are broken by node id. No node
 * gets more memory than it has, more cores than its overcommit allows or more deployments than the rules allow.
 */
export function choosePlacement({ request, nodes, rules }: PlacementQuestion): Placement {
  const ready = nodes.filter((node) => node.ready);
  if (ready.length === 0) return { refusal: { code: 'NO_NODE_READY', nodes: nodes.length } };
  const room = ready.map((node) => roomOf(node, rules)).sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  const capacity = new Map(ready.map((node) => [node.nodeId, capacityOf(node, rules)]));
  const open = room.filter((node) => !node.isFull);
  const assignments = STRATEGIES[rules.strategy]({ request, room: open, capacity });
  return assignments ? { assignments } : { refusal: { code: 'INSUFFICIENT_CAPACITY', room } };
}

/** What a strategy chooses from: the room of nodes that are not full, by id, and what each of them has in all. */
export interface StrategyInput {
  readonly request: PlacementRequest;
  readonly room: readonly NodeRoom[];
  readonly capacity: ReadonlyMap<string, Capacity>;
}

/** What a node may reserve in all. */
export interface Capacity {
  readonly cpuCores: number;
  readonly memoryBytes: number;
}

/** A node for each replica; `undefined` when not all of them fit. */
export type Strategy = (input: StrategyInput) => string[] | undefined;

const STRATEGIES: Record<PlacementRules['strategy'], Strategy> = { 'least-loaded': chooseLeastLoaded };

function capacityOf(node: PlacementNode, rules: PlacementRules): Capacity {
  return { cpuCores: node.cpuCores * rules.cpuOvercommit, memoryBytes: node.memoryBytes };
}

function roomOf(node: PlacementNode, rules: PlacementRules): NodeRoom {
  const capacity = capacityOf(node, rules);
  return {
    nodeId: node.nodeId,
    cpuCores: Math.max(0, capacity.cpuCores - node.reservedCpuCores),
    memoryBytes: Math.max(0, capacity.memoryBytes - node.reservedMemoryBytes),
    isFull: node.otherDeployments >= rules.maxDeploymentsPerNode,
  };
}
