import type { Capacity, NodeRoom, PlacementRequest } from './strategy.ts';

/** Sums of fractions of a core miss the whole by less than this. */
const CPU_TOLERANCE = 1e-6;

/** How many replicas a node can take, at most as many as are asked for. */
export function fitsOn(node: NodeRoom, request: PlacementRequest): number {
  const { cpuCores, memoryBytes, replicas } = request;
  const byCpu = cpuCores > 0 ? Math.floor((node.cpuCores + CPU_TOLERANCE) / cpuCores) : replicas;
  const byMemory = memoryBytes > 0 ? Math.floor(node.memoryBytes / memoryBytes) : replicas;
  return Math.min(byCpu, byMemory, mostOn(node, request), replicas);
}

/** How many replicas the deployment lets a node have beside those that it has. */
export function mostOn({ ownReplicas }: NodeRoom, { policy, replicas }: PlacementRequest): number {
  return policy.maxReplicasPerNode === null ? replicas : Math.max(0, policy.maxReplicasPerNode - ownReplicas);
}

/** Shares of a node that would be reserved, from 0 to 1: both in the same unit, so they can be compared and added. */
export interface Shares {
  readonly cpu: number;
  readonly memory: number;
}

/** What would be reserved of a node with so many more replicas. */
export function sharesWith(
  node: NodeRoom,
  replicas: number,
  { request, capacity }: { readonly request: PlacementRequest; readonly capacity: ReadonlyMap<string, Capacity> },
): Shares {
  const whole = capacity.get(node.nodeId) ?? node;
  return {
    cpu: 1 - share(node.cpuCores - replicas * request.cpuCores, whole.cpuCores),
    memory: 1 - share(node.memoryBytes - replicas * request.memoryBytes, whole.memoryBytes),
  };
}

/** How loaded a node would be with so many more replicas: the larger of its two shares. */
export function loadWith(...of: Parameters<typeof sharesWith>): number {
  const { cpu, memory } = sharesWith(...of);
  return Math.max(cpu, memory);
}

/** A part of a whole, from 0 to 1; 0 of nothing. */
export function share(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}
