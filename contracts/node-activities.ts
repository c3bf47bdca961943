import type { WatchedNode, WatchNodeInput } from './node.ts';
import type { BuildSource, ReplicaTemplate, ServiceRef, StartedReplica, WantedImage } from './rollout.ts';
import type { ReadingActivities } from './source-reading.ts';
import type { DataRemovals } from './volumes.ts';

/** Activities on one node's Docker daemon, on that node's own queue. */
export interface NodeActivities extends DataRemovals {
  /**
   * Makes the image present, creates and starts one replica, and returns once it is healthy.
   *
   * @throws IMAGE_UNAVAILABLE, REPLICA_UNHEALTHY, REPLICA_EXITED, REPLICA_CONFLICT: final. Leaves no container behind
   * when it throws one of these or is cancelled.
   */
  ensureReplica(input: EnsureReplicaInput): Promise<StartedReplica>;
  /**
   * Asks a Git server which commit a ref stands for now, with the credential of the deployment's organization.
   *
   * @throws SOURCE_REFUSED: final. SOURCE_UNAVAILABLE (retryable): the server cannot be reached.
   */
  resolveSource(input: ResolveSourceInput): Promise<ResolvedSource>;
  /** Stops and removes one replica's container; one that does not exist counts as removed. */
  removeReplica(input: RemoveReplicaInput): Promise<void>;
  /** Removes what a deleted deployment leaves on the node: its own images, and the project's network when unused. */
  removeLeftovers(input: { readonly deploymentId: string; readonly projectId: string }): Promise<void>;
  /**
   * Watches this node's Docker daemon and its disk, and returns when one of them is another than known, or after `maxMs`.
   * Heartbeats all the while: its silence is how the node's death is noticed.
   */
  watchNode(input: WatchNodeInput): Promise<WatchedNode>;
}

/** Input of {@link NodeActivities.resolveSource}: the ref of a service's Git source. */
export interface ResolveSourceInput extends ServiceRef {
  readonly url: string;
  readonly ref: string;
}

/** What a ref stood for when its server was asked. */
export interface ResolvedSource {
  readonly commit: string;
}

/** Input of {@link NodeActivities.ensureReplica}. */
export interface EnsureReplicaInput {
  readonly template: ReplicaTemplate;
  readonly replicaId: string;
  readonly index: number;
  readonly image: WantedImage;
  /**
   * Whether it may be started on another node: then this one gives up with NODE_DEGRADED once its daemon has been in
   * trouble for some seconds, and what it did is removed when the daemon answers again. Absent: it goes on trying.
   */
  readonly mayLeave?: boolean;
}

/** Input of {@link NodeActivities.removeReplica}. */
export interface RemoveReplicaInput {
  readonly deploymentId: string;
  readonly revision: number;
  readonly index: number;
  /** Time from SIGTERM to SIGKILL, milliseconds. */
  readonly stopGraceMs: number;
}

/** Activities on one node's build queue. */
export interface BuildActivities extends ReadingActivities {
  /**
   * Builds an image from a stored context or a commit, and tags it for the revision.
   *
   * @throws BUILD_FAILED, SOURCE_REFUSED: final. SOURCE_UNAVAILABLE (retryable).
   */
  buildImage(input: BuildImageInput): Promise<BuiltImage>;
}

/** What a build made. */
export interface BuiltImage {
  /** Docker's `sha256:…`. */
  readonly imageId: string;
  /** Where it was pushed to, `repository@sha256:…`; absent when the platform carries it from node to node. */
  readonly reference?: string;
  /** What was found in the source, and so how it was built; absent where that was said beforehand. */
  readonly detected?: string;
}

/** Input of {@link BuildActivities.buildImage}, and of the build workflow. */
export interface BuildImageInput extends ServiceRef {
  readonly projectId: string;
  readonly source: BuildSource;
}
