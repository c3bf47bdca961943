import type { HealthCheck, PullPolicy, ResourceLimits, RestartPolicy, Source } from '../domain/spec.ts';

/** A replica of the revision that is being rolled out, with the node that holds its reservation. */
export interface PlannedReplica {
  readonly replicaId: string;
  readonly index: number;
  readonly nodeId: string;
}

/** A replica that exists already, of whatever revision. */
export interface ExistingReplica extends PlannedReplica {
  readonly revision: number;
  /** Whether the routes send requests to it. */
  readonly serving: boolean;
}

/** What all replicas of a revision have in common, as a node needs it to start one. */
export interface ReplicaTemplate {
  readonly deploymentId: string;
  readonly projectId: string;
  readonly serviceName: string;
  readonly operationId: string;
  readonly revision: number;
  readonly port: number | null;
  readonly command: readonly string[];
  readonly healthCheck: HealthCheck;
  readonly limits: ResourceLimits;
  readonly restartPolicy: RestartPolicy;
  /** Whether the revision has variables: the node then fetches them, encrypted for its own key. */
  readonly hasEnvironment: boolean;
}

/** What is to be rolled out, decided and reserved. Asking twice gives the same plan. */
export interface RolloutPlan {
  readonly template: ReplicaTemplate;
  readonly source: Source;
  /** Digest to which the revision was pinned already; `null` before its first replica has started. */
  readonly imageDigest: string | null;
  /** All replicas of the new revision. */
  readonly planned: readonly PlannedReplica[];
  /** All replicas of other revisions. */
  readonly existing: readonly ExistingReplica[];
}

/** What a removal has to take away. */
export interface RemovalPlan {
  readonly deploymentId: string;
  readonly projectId: string;
  readonly replicas: readonly ExistingReplica[];
  /** Nodes that may hold networks or images of the deployment. */
  readonly nodeIds: readonly string[];
}

/** The image that a replica must run. */
export type WantedImage =
  /** Pulled by reference; with a digest, exactly that one. The policy counts while there is none. */
  | {
      readonly kind: 'reference';
      readonly reference: string;
      readonly digest: string | null;
      readonly pullPolicy?: PullPolicy;
    }
  /** Built on this node beforehand; `imageId` is Docker's `sha256:…`. */
  | { readonly kind: 'built'; readonly imageId: string };

/** A replica that runs and was found healthy. */
export interface StartedReplica {
  readonly replicaId: string;
  readonly containerId: string;
  /** Digest of the image that it runs: the repository digest, or the image id of an image that has none. */
  readonly imageDigest: string;
  /** Where the ingress reaches it; `null` without a port. */
  readonly address: { readonly host: string; readonly port: number } | null;
  /** RFC 3339, from Docker. */
  readonly startedAt: string;
}

/** Why an operation failed, as it is stored and shown. */
export interface OperationFailure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}
