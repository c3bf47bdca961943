import type { PlacementPolicy } from './policy.ts';

/** Replicas of one service that need a place, all of the same size. */
export interface PlacementRequest {
  /** Name of the deployment, for people. */
  readonly name: string;
  readonly replicas: number;
  /** What one replica reserves. */
  readonly cpuCores: number;
  readonly memoryBytes: number;
  /** Whether all of them must be on one node. */
  readonly together: boolean;
  /** What the deployment says about its places. */
  readonly policy: PlacementPolicy;
  /** Set when the one replica stands for a whole application that must be on one node: the largest share of one part. */
  readonly largestCpuCores?: number;
}

/** What a node can still take. */
export interface NodeRoom {
  readonly nodeId: string;
  readonly cpuCores: number;
  readonly memoryBytes: number;
  /** Why it may take none of the replicas, however much of it is free: `holds as many deployments as it may`. */
  readonly barred: string | null;
  /** Replicas of the service that are on it and stay. */
  readonly ownReplicas: number;
  /** Where it is, as far as replicas are to be spread: its value of a label, or its own id. */
  readonly domain: string;
}

/** What a strategy chooses from: the room of nodes that may take one of the replicas, by id, and what each of them has in all. */
export interface StrategyInput {
  readonly request: PlacementRequest;
  readonly room: readonly NodeRoom[];
  readonly capacity: ReadonlyMap<string, Capacity>;
  /** The node that was chosen last, by whatever deployment; `null` before any was. */
  readonly after: string | null;
}

/** What a node may reserve in all. */
export interface Capacity {
  readonly cpuCores: number;
  readonly memoryBytes: number;
}

/** A node for each replica; `undefined` when not all of them fit. */
export type Strategy = (input: StrategyInput) => string[] | undefined;
