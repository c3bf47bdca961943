import type { DeployRequest, OperationAccepted, RemoveRequest } from './deployment.ts';
import type {
  OperationFailure,
  RemovalPlan,
  ReplicaTemplate,
  RolloutPlan,
  StartedReplica,
  WantedImage,
} from './rollout.ts';

/** Which operation of which deployment. */
export interface OperationRef {
  readonly deploymentId: string;
  readonly operationId: string;
}

/** Activities on the databases, run as local activities by the orchestrator. Each is one transaction, and repeatable. */
export interface StoreActivities {
  /**
   * Stores a deploy: the deployment itself when `createAs` is set, its next revision and the operation.
   *
   * @throws NAME_TAKEN, IDEMPOTENCY_CONFLICT, NOT_FOUND (project or deployment gone), DEPLOYMENT_DELETED: all final.
   */
  storeDeploy(input: StoreInput<DeployRequest>): Promise<OperationAccepted>;
  /** Stores a removal. @throws IDEMPOTENCY_CONFLICT, NOT_FOUND: final. */
  storeRemove(input: StoreInput<RemoveRequest>): Promise<OperationAccepted>;
  /** Marks a waiting operation as superseded by a newer one. */
  supersedeOperation(input: OperationRef & { readonly byOperationId: string }): Promise<void>;
  /**
   * Marks the operation as running, chooses nodes for the new replicas and reserves their capacity.
   *
   * @throws INSUFFICIENT_CAPACITY, NO_NODE_READY: final.
   */
  beginRollout(input: OperationRef & { readonly revision: number }): Promise<RolloutPlan>;
  /** Pins the revision to the image that was built for it. */
  recordBuild(input: OperationRef & { readonly revision: number; readonly imageId: string }): Promise<void>;
  /**
   * Makes the routes send requests to `serve` and `resume` and no longer to `drain`, and pins the revision's digest.
   *
   * @returns the generation that the ingress must reach; `null` when the deployment has no route.
   */
  switchRoutes(input: SwitchRoutesInput): Promise<{ readonly generation: number | null }>;
  /** Forgets replicas whose containers have been removed, and releases their reservations. */
  forgetReplicas(input: OperationRef & { readonly replicaIds: readonly string[] }): Promise<void>;
  /** Records that the operation reached its goal. */
  finishOperation(input: OperationRef): Promise<void>;
  /** Records that the operation failed; replicas that never served are forgotten with their reservations. */
  failOperation(input: OperationRef & { readonly failure: OperationFailure }): Promise<void>;
  /** Marks the removal as running, takes the deployment's routes away, and says what there is to remove. */
  beginRemoval(input: OperationRef): Promise<RemovalPlan & { readonly generation: number | null }>;
  /** Deletes every row of the deployment but its history, and records the removal as done. */
  purgeDeployment(input: OperationRef): Promise<void>;
  /** Records what a node is, as its workflow found it. */
  recordNodeState(input: NodeStateChange): Promise<void>;
}

/** A request for a deployment, with the deployment's place. */
export interface StoreInput<Request> {
  readonly deploymentId: string;
  readonly organizationId: string;
  readonly projectId: string;
  readonly request: Request;
}

/** Input of {@link StoreActivities.switchRoutes}. */
export interface SwitchRoutesInput extends OperationRef {
  readonly revision: number;
  /** Replicas that have just become healthy. */
  readonly serve: readonly StartedReplica[];
  /** Replicas that served before and shall again: how a switch is undone. */
  readonly resume: readonly string[];
  /** Replicas that the routes shall leave out. */
  readonly drain: readonly string[];
}

/** What a node is. */
export interface NodeStateChange {
  readonly nodeId: string;
  readonly state: 'ready' | 'degraded' | 'lost';
  /** For people; empty when all is well. */
  readonly reason: string;
}

/** Activities on the ingress, run by the orchestrator on the control queue. */
export interface IngressActivities {
  /**
   * Returns once every ingress has been seen serving `generation` or a later one.
   *
   * @throws INGRESS_UNCONFIRMED (retryable): not seen in time.
   */
  awaitIngress(input: { readonly generation: number; readonly timeoutMs: number }): Promise<void>;
}

/** Activities on one node's Docker daemon, on that node's own queue. */
export interface NodeActivities {
  /**
   * Makes the image present, creates and starts one replica, and returns once it is healthy.
   *
   * @throws IMAGE_UNAVAILABLE, REPLICA_UNHEALTHY, REPLICA_EXITED, REPLICA_CONFLICT: final. Leaves no container behind
   * when it throws one of these or is cancelled.
   */
  ensureReplica(input: EnsureReplicaInput): Promise<StartedReplica>;
  /** Stops and removes one replica's container; one that does not exist counts as removed. */
  removeReplica(input: RemoveReplicaInput): Promise<void>;
  /** Removes what a deleted deployment leaves on the node: its own images, and the project's network when unused. */
  removeLeftovers(input: { readonly deploymentId: string; readonly projectId: string }): Promise<void>;
  /**
   * Watches this node's Docker daemon and returns when its state is another than `known`, or after `maxMs`.
   * Heartbeats all the while: its silence is how the node's death is noticed.
   */
  watchNode(input: WatchNodeInput): Promise<{ readonly state: 'ready' | 'degraded'; readonly reason: string }>;
}

/** Input of {@link NodeActivities.ensureReplica}. */
export interface EnsureReplicaInput {
  readonly template: ReplicaTemplate;
  readonly replicaId: string;
  readonly index: number;
  readonly image: WantedImage;
}

/** Input of {@link NodeActivities.removeReplica}. */
export interface RemoveReplicaInput {
  readonly deploymentId: string;
  readonly revision: number;
  readonly index: number;
  /** Time from SIGTERM to SIGKILL, milliseconds. */
  readonly stopGraceMs: number;
}

/** Input of {@link NodeActivities.watchNode}. */
export interface WatchNodeInput {
  readonly known: NodeStateChange['state'];
  readonly maxMs: number;
}

/** Activities on one node's build queue. */
export interface BuildActivities {
  /** Builds an image from a stored context and tags it for the revision. @throws BUILD_FAILED: final. */
  buildImage(input: BuildImageInput): Promise<{ readonly imageId: string }>;
}

/** Input of {@link BuildActivities.buildImage}, and of the build workflow. */
export interface BuildImageInput {
  readonly deploymentId: string;
  readonly projectId: string;
  readonly revision: number;
  readonly contextSha256: string;
  readonly dockerfilePath: string;
}
