import { describeCores } from '../quantities.ts';
import { type ConstrainedNode, describeConstraint, meets, type PlacementPolicy } from './policy.ts';
import { STRATEGIES, type StrategyName } from './strategies.ts';
import type { Capacity, NodeRoom, PlacementRequest } from './strategy.ts';

/** A node as placement sees it. */
export interface PlacementNode extends ConstrainedNode {
  /** Whether it takes new replicas. */
  readonly ready: boolean;
  /** Why not, in a word or two; absent: its state says so. */
  readonly unready?: string;
  /** What it has. */
  readonly cpuCores: number;
  readonly memoryBytes: number;
  /** What is reserved on it. */
  readonly reservedCpuCores: number;
  readonly reservedMemoryBytes: number;
  /** How many other deployments have replicas on it. */
  readonly otherDeployments: number;
  /** How many replicas of the service are on it and stay, whatever becomes of the others. */
  readonly ownReplicas: number;
  /** Whether a replica of the deployment is on it that the replicas are to be near. */
  readonly hasNeighbour: boolean;
}

/** How nodes are filled. */
export interface PlacementRules {
  readonly strategy: StrategyName;
  /** The label of which `spread` uses all values; without one each node is a place of its own. */
  readonly spreadLabel?: string;
  /** A node takes replicas of this many deployments. */
  readonly maxDeploymentsPerNode: number;
  /**
   * How many times its cores a node may reserve. A CPU limit is a ceiling that is rarely reached, and cores that are
   * wanted twice are shared; memory that is wanted twice kills, so that is never promised twice.
   */
  readonly cpuOvercommit: number;
}

/** Four replicas limited to a core share one: most services use a small part of their limit most of the time. */
export const DEFAULT_CPU_OVERCOMMIT = 4;

/** The platform's rules with what a deployment says in place of them. */
export function rulesFor(rules: PlacementRules, { strategy, spreadLabel }: PlacementPolicy): PlacementRules {
  return { ...rules, ...(strategy === null ? {} : { strategy }), ...(spreadLabel === null ? {} : { spreadLabel }) };
}

/** Why nothing was placed. */
export type PlacementRefusal =
  | { readonly code: 'NO_NODE_READY'; readonly unready: readonly UnreadyNode[] }
  | {
      readonly code: 'INSUFFICIENT_CAPACITY';
      readonly room: readonly NodeRoom[];
      readonly unready: readonly UnreadyNode[];
    };

/** A node that takes no new replicas. */
export interface UnreadyNode {
  readonly nodeId: string;
  /** Why, in a few words: `cordoned`, `its disk is nearly full: 4 % free`. */
  readonly why: string;
}

/** Either a node for each replica, by index, or why not: never a part. */
export type Placement =
  | { readonly assignments: readonly string[]; readonly refusal?: never }
  | { readonly assignments?: never; readonly refusal: PlacementRefusal };

/** What placement needs to know. */
export interface PlacementQuestion {
  readonly request: PlacementRequest;
  readonly nodes: readonly PlacementNode[];
  readonly rules: PlacementRules;
  /** The node that was chosen last for any deployment, where a rotation goes on; absent: none was. */
  readonly after?: string | null;
}

/**
 * Chooses a node for every replica, or says why it cannot. Changes nothing: reserving is the caller's, in the same
 * transaction as the reading.
 *
 * The same question has the same answer, in whatever order the nodes are given: ties are broken by node id. No node
 * gets more memory than it has, more cores than its overcommit allows, a replica with more cores than it has, or more
 * deployments than the rules allow; none that the deployment's policy bars, and no more replicas than that allows.
 */
export function choosePlacement({ request, nodes, rules, after = null }: PlacementQuestion): Placement {
  const ready = nodes.filter((node) => node.ready);
  if (ready.length === 0) return { refusal: { code: 'NO_NODE_READY', unready: unreadyOf(nodes) } };
  const room = ready.map((node) => roomOf(node, request, rules)).sort(byId);
  const capacity = new Map(ready.map((node) => [node.nodeId, capacityOf(node, rules)]));
  const open = room.filter(({ barred }) => barred === null);
  const assignments = STRATEGIES[rules.strategy]({ request, room: open, capacity, after });
  if (assignments) return { assignments };
  return { refusal: { code: 'INSUFFICIENT_CAPACITY', room, unready: unreadyOf(nodes) } };
}

function unreadyOf(nodes: readonly PlacementNode[]): UnreadyNode[] {
  return nodes
    .filter((node) => !node.ready)
    .map(({ nodeId, unready = 'not ready' }) => ({ nodeId, why: unready }))
    .sort(byId);
}

function byId(one: { readonly nodeId: string }, other: { readonly nodeId: string }): number {
  return one.nodeId < other.nodeId ? -1 : 1;
}

/** What a node may reserve in all. */
export function capacityOf(
  node: Pick<PlacementNode, 'cpuCores' | 'memoryBytes'>,
  rules: Pick<PlacementRules, 'cpuOvercommit'>,
): Capacity {
  return { cpuCores: node.cpuCores * rules.cpuOvercommit, memoryBytes: node.memoryBytes };
}

/** What a node can still take. */
export function roomOf(node: PlacementNode, request: PlacementRequest, rules: PlacementRules): NodeRoom {
  const capacity = capacityOf(node, rules);
  return {
    nodeId: node.nodeId,
    cpuCores: Math.max(0, capacity.cpuCores - node.reservedCpuCores),
    memoryBytes: Math.max(0, capacity.memoryBytes - node.reservedMemoryBytes),
    barred: barredBy(node, request, rules),
    ownReplicas: node.ownReplicas,
    domain: domainOf(node, rules),
  };
}

function barredBy(node: PlacementNode, request: PlacementRequest, rules: PlacementRules): string | null {
  const { policy, cpuCores, largestCpuCores = cpuCores } = request;
  const unmet = policy.constraints.find((constraint) => !meets(node, constraint));
  if (unmet) return `is not ${describeConstraint(unmet)}`;
  if (policy.near !== null && !node.hasNeighbour) return `has nothing of ${policy.near}`;
  if (node.otherDeployments >= rules.maxDeploymentsPerNode) return 'holds as many deployments as it may';
  if (node.cpuCores < largestCpuCores) return `has only ${describeCores(node.cpuCores)}`;
  return null;
}

/** Where a node is, as far as replicas are to be spread. A value of a label cannot be taken for the id of a node that has none. */
export function domainOf(
  { nodeId, labels }: ConstrainedNode,
  { spreadLabel }: Pick<PlacementRules, 'spreadLabel'>,
): string {
  const value = spreadLabel === undefined ? undefined : labels[spreadLabel];
  return value === undefined ? `node ${nodeId}` : `label ${value}`;
}
