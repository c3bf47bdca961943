import type { Demand, ModelNode, ModelReplica } from './cluster-model.ts';
import { domainOf, type PlacementRules, rulesFor } from './placement.ts';
import { describeConstraint, type PlacementPolicy } from './policy.ts';
import type { Capacity } from './strategy.ts';

/** A deployment as far as its places are concerned. */
export interface PlacedDeployment {
  readonly deploymentId: string;
  readonly name: string;
  readonly policy: PlacementPolicy;
  /** The deployment that it is to be near; `null` where there is none. */
  readonly nearId: string | null;
  /** Whether all of its services have to be on one node. */
  readonly isWhole: boolean;
  /** Whether its images are built for the architecture of the nodes that it is on. */
  readonly isBuilt: boolean;
  /** Whether it may be moved: it has no volume, nothing is under way, and all of it runs well. */
  readonly isMovable: boolean;
}

/** What is moved as one, and of which there may be several: a replica, or all services of a deployment. */
export interface Piece {
  readonly deployment: PlacedDeployment;
  /** What one of it is made of, wherever it is. */
  readonly replicas: readonly Omit<ModelReplica, 'nodeId'>[];
  /** What one of it reserves. */
  readonly size: Capacity;
  /** Its constraints as one text: those with the same may go to the same nodes. */
  readonly bound: string;
  /** What has to find room on a node that gets one. */
  readonly demands: readonly Demand[];
  /** How many of it are on each ready node. */
  readonly on: Map<string, number>;
  /** Where it is as far as it is to be spread; `null`: nowhere in particular. */
  readonly spread: { readonly domainOn: (node: ModelNode) => string; readonly counts: Map<string, number> } | null;
}

/**
 * What may be moved, by id of its deployment. Nothing of a deployment that is filled up on purpose (`resource-based`),
 * and nothing that is on a node that is not ready.
 */
export function listPieces(of: {
  readonly nodes: ReadonlyMap<string, ModelNode>;
  readonly replicas: readonly ModelReplica[];
  readonly deployments: readonly PlacedDeployment[];
  readonly rules: PlacementRules;
}): Piece[] {
  const running = Map.groupBy(of.replicas, ({ deploymentId }) => deploymentId);
  const deployments = of.deployments.filter(
    ({ isMovable, policy }) => isMovable && rulesFor(of.rules, policy).strategy !== 'resource-based',
  );
  return deployments
    .toSorted((one, other) => (one.deploymentId < other.deploymentId ? -1 : 1))
    .flatMap((deployment) => {
      const replicas = running.get(deployment.deploymentId) ?? [];
      const piece = deployment.isWhole ? wholeOf(deployment, replicas) : replicaOf(deployment, replicas);
      if (!piece) return [];
      const { policy } = deployment;
      return [located(piece, { nodes: of.nodes, replicas, rules: rulesFor(of.rules, policy) })];
    });
}

type Unlocated = Omit<Piece, 'on' | 'spread' | 'bound'>;

/** One replica of several that are alike; nothing where they are not. */
function replicaOf(deployment: PlacedDeployment, replicas: readonly ModelReplica[]): Unlocated | undefined {
  const [first] = replicas;
  const isLike = (other: ModelReplica): boolean =>
    other.service === first?.service && other.cpuCores === first.cpuCores && other.memoryBytes === first.memoryBytes;
  if (!first || !replicas.every(isLike)) return undefined;
  const { nodeId: _, ...replica } = first;
  return { deployment, replicas: [replica], size: sizeOf([first]), demands: [demandFor(deployment, [first])] };
}

/** All services of a deployment, which are on one node. */
function wholeOf(deployment: PlacedDeployment, replicas: readonly ModelReplica[]): Unlocated | undefined {
  const [first] = replicas;
  if (!first || replicas.some(({ nodeId }) => nodeId !== first.nodeId)) return undefined;
  const size = sizeOf(replicas);
  const { name, policy, deploymentId, nearId } = deployment;
  const largestCpuCores = Math.max(...replicas.map(({ cpuCores }) => cpuCores));
  const request = { name, replicas: 1, ...size, together: true, policy, largestCpuCores };
  const services = [...Map.groupBy(replicas, ({ service }) => service).values()];
  return {
    ...{ deployment, size, replicas: replicas.map(({ nodeId: _, ...replica }) => replica) },
    demands: [
      { deploymentId, service: null, request, only: null, nearId },
      ...services.map((service) => demandFor(deployment, service)),
    ],
  };
}

function demandFor(deployment: PlacedDeployment, replicas: readonly ModelReplica[]): Demand {
  const { deploymentId, name, policy, nearId } = deployment;
  const service = replicas[0]?.service ?? null;
  const largest = (part: keyof Capacity): number => Math.max(...replicas.map((replica) => replica[part]));
  const size = { cpuCores: largest('cpuCores'), memoryBytes: largest('memoryBytes') };
  const request = { name, replicas: replicas.length, ...size, together: false, policy };
  return { deploymentId, service, request, only: null, nearId };
}

function sizeOf(replicas: readonly Capacity[]): Capacity {
  const sum = (part: keyof Capacity): number => replicas.reduce((total, replica) => total + replica[part], 0);
  return { cpuCores: sum('cpuCores'), memoryBytes: sum('memoryBytes') };
}

function located(
  piece: Unlocated,
  of: {
    readonly nodes: ReadonlyMap<string, ModelNode>;
    readonly replicas: readonly ModelReplica[];
    readonly rules: PlacementRules;
  },
): Piece {
  const on = new Map<string, number>();
  const counts = new Map<string, number>();
  const domainOn = (node: ModelNode): string => domainOf(node, of.rules);
  const places = piece.deployment.isWhole ? of.replicas.slice(0, 1) : of.replicas;
  for (const { nodeId } of places) {
    const node = of.nodes.get(nodeId);
    if (!node?.ready) continue;
    on.set(nodeId, (on.get(nodeId) ?? 0) + 1);
    counts.set(domainOn(node), (counts.get(domainOn(node)) ?? 0) + 1);
  }
  const bound = piece.deployment.policy.constraints.map(describeConstraint).toSorted().join(' ');
  return { ...piece, bound, on, spread: of.rules.strategy === 'spread' ? { domainOn, counts } : null };
}
