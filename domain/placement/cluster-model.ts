import { type JudgedNode, judgeNodes } from './explain.ts';
import {
  choosePlacement,
  type PlacementNode,
  type PlacementQuestion,
  type PlacementRules,
  roomOf,
  rulesFor,
} from './placement.ts';
import type { ConstrainedNode } from './policy.ts';
import { toPlacementError } from './refusal.ts';
import type { NodeRoom, PlacementRequest } from './strategy.ts';

/** A node of the model, without what is on it. */
export interface ModelNode
  extends ConstrainedNode,
    Pick<PlacementNode, 'ready' | 'unready' | 'cpuCores' | 'memoryBytes'> {}

/** A replica of the model, where it is. */
export interface ModelReplica {
  readonly deploymentId: string;
  readonly service: string;
  readonly nodeId: string;
  readonly cpuCores: number;
  readonly memoryBytes: number;
}

/** Replicas that look for a place. */
export interface Demand {
  readonly deploymentId: string;
  /** `null`: all services of the deployment as one. */
  readonly service: string | null;
  readonly request: PlacementRequest;
  /** The only node that they may be on; `null`: any. */
  readonly only: string | null;
  /** The deployment that they are to be near; `null` where there is none. */
  readonly nearId: string | null;
}

/** What became of a demand. */
export interface Outcome {
  readonly assignments: readonly string[];
  /** Why nothing was placed; `null` where all of it was. */
  readonly refusal: string | null;
  /** Says of each node what became of it. */
  readonly judge: () => readonly JudgedNode[];
}

/** What is on one node. */
interface Load {
  cpuCores: number;
  memoryBytes: number;
  /** Replicas by deployment, and there by service. */
  readonly deployments: Map<string, Map<string, number>>;
}

/**
 * A cluster in memory, in which placements can be tried that nobody carries out: each counts what those before it have
 * reserved.
 */
export interface ClusterModel {
  /** Places a demand, and reserves its room in the model. */
  place(demand: Demand): Outcome;
  /** Takes a node away, with all that is on it. */
  remove(nodeId: string): void;
  /** Takes a replica of a deployment away from a node. */
  release(replica: ModelReplica): void;
  /** Puts a replica of a deployment on a node, whether it has room or not. */
  reserve(replica: ModelReplica): void;
  /** What a node can take of a demand, by the rules of a placement; `undefined` for one that takes nothing new. */
  roomOn(nodeId: string, demand: Demand): NodeRoom | undefined;
  /** Whether a node has a replica of a deployment. */
  holds(nodeId: string, deploymentId: string): boolean;
}

/** Makes a model of nodes and of what is on them. */
export function createClusterModel(
  of: {
    readonly nodes: readonly ModelNode[];
    readonly replicas: Iterable<ModelReplica>;
    /** The node that was chosen last, where a rotation goes on. */
    readonly after: string | null;
  },
  platformRules: PlacementRules,
): ClusterModel {
  const nodes = new Map(of.nodes.map((node) => [node.nodeId, node]));
  const loads = new Map<string, Load>(
    of.nodes.map(({ nodeId }) => [nodeId, { cpuCores: 0, memoryBytes: 0, deployments: new Map() }]),
  );
  let { after } = of;
  const count = ({ deploymentId, service, nodeId, cpuCores, memoryBytes }: ModelReplica, by: 1 | -1): void => {
    const load = loads.get(nodeId);
    if (!load) return;
    load.cpuCores += by * cpuCores;
    load.memoryBytes += by * memoryBytes;
    const services = load.deployments.get(deploymentId) ?? new Map<string, number>();
    services.set(service, (services.get(service) ?? 0) + by);
    if (services.get(service) === 0) services.delete(service);
    if (services.size > 0) load.deployments.set(deploymentId, services);
    else load.deployments.delete(deploymentId);
  };
  for (const replica of of.replicas) count(replica, 1);

  const toPlacementNode = (node: ModelNode, { deploymentId, service, nearId }: Demand): PlacementNode => {
    const { cpuCores = 0, memoryBytes = 0, deployments } = loads.get(node.nodeId) ?? {};
    const own = deployments?.get(deploymentId);
    return {
      ...node,
      reservedCpuCores: cpuCores,
      reservedMemoryBytes: memoryBytes,
      otherDeployments: (deployments?.size ?? 0) - (own ? 1 : 0),
      ownReplicas: own ? ownOf(own, service) : 0,
      hasNeighbour: nearId !== null && (deployments?.has(nearId) ?? false),
    };
  };

  return {
    place: (demand) => {
      const { request, deploymentId, service, only } = demand;
      const able = only === null ? [...nodes.values()] : [...nodes.values()].filter(({ nodeId }) => nodeId === only);
      const rules = rulesFor(platformRules, request.policy);
      const question: PlacementQuestion = {
        ...{ request, rules, after },
        nodes: able.map((node) => toPlacementNode(node, demand)),
      };
      const { assignments = [], refusal } = choosePlacement(question);
      const judge = () => judgeNodes(question, assignments);
      if (refusal) return { assignments, judge, refusal: toPlacementError(request, refusal).message };
      const { cpuCores, memoryBytes } = request;
      for (const nodeId of assignments)
        count({ deploymentId, service: service ?? '', nodeId, cpuCores, memoryBytes }, 1);
      if (rules.strategy === 'round-robin' && only === null) after = assignments.at(-1) ?? after;
      return { assignments, judge, refusal: null };
    },
    remove: (nodeId) => {
      nodes.delete(nodeId);
      loads.delete(nodeId);
    },
    release: (replica) => count(replica, -1),
    reserve: (replica) => count(replica, 1),
    roomOn: (nodeId, demand) => {
      const node = nodes.get(nodeId);
      if (!node?.ready) return undefined;
      const { request } = demand;
      return roomOf(toPlacementNode(node, demand), request, rulesFor(platformRules, request.policy));
    },
    holds: (nodeId, deploymentId) => loads.get(nodeId)?.deployments.has(deploymentId) ?? false,
  };
}

function ownOf(services: ReadonlyMap<string, number>, service: string | null): number {
  if (service !== null) return services.get(service) ?? 0;
  return [...services.values()].reduce((sum, replicas) => sum + replicas, 0);
}
