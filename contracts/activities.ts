import type { RolloutGate } from '../domain/rollout-policy.ts';
import type { ControlRequest, OperationAccepted, OperationRequest, TakenOperations } from './deployment.ts';
import type { NodeStateChange } from './node.ts';
import type { BuiltImage, ResolvedSource } from './node-activities.ts';
import type {
  DoomedReplica,
  OperationFailure,
  PlannedReplica,
  RemovalPlan,
  RolloutPlan,
  StartedReplica,
} from './rollout.ts';
import type { ReadingStore } from './source-reading.ts';
import type { DoomedData } from './volumes.ts';

/** Which operation of which deployment. */
export interface OperationRef {
  readonly deploymentId: string;
  readonly operationId: string;
}

/** Activities on the databases, run as local activities by the orchestrator. Each is one transaction, and repeatable. */
export interface StoreActivities extends ReadingStore {
  /**
   * Stores an operation, with the deployment itself when the request creates it and the revision when it makes one.
   *
   * @throws NAME_TAKEN, IDEMPOTENCY_CONFLICT, INVALID_ARGUMENT, NOT_FOUND (project, deployment or revision gone),
   * NOT_DEPLOYED (nothing to scale, restart, start or return to), DEPLOYMENT_DELETED: all final.
   */
  storeOperation(input: StoreInput<OperationRequest>): Promise<OperationAccepted>;
  /** Says which operations of the deployment are to be carried out, oldest first, and that its workflow knows them. */
  takeOperations(input: { readonly deploymentId: string }): Promise<TakenOperations>;
  /** Marks a waiting operation as superseded by a newer one. */
  supersedeOperation(input: OperationRef & { readonly byOperationId: string }): Promise<void>;
  /**
   * Records what a person says about an operation; cancelling one that still waits in line ends it.
   *
   * @throws OPERATION_ENDED, NOT_FOUND, IDEMPOTENCY_CONFLICT: final.
   */
  recordControl(input: StoreInput<ControlRequest>): Promise<void>;
  /**
   * Marks the operation as running, says what is to be rolled out, and reserves capacity for the first new replicas.
   * Where that is not known before a repository was read, says which.
   *
   * @throws INSUFFICIENT_CAPACITY, NO_NODE_READY, NOT_DEPLOYED: final.
   */
  beginRollout(input: OperationRef): Promise<RolloutPlan>;
  /** Chooses nodes for further replicas and reserves their capacity. @throws like {@link beginRollout} */
  reserveReplicas(input: ReserveInput): Promise<readonly PlannedReplica[]>;
  /** Says how to return to what was before the operation. Reservations that were never used are released. */
  planReturn(input: OperationRef & { readonly unused: readonly string[] }): Promise<RolloutPlan>;
  /** Pins a service of a revision to the commit that its ref stands for. @returns the one that it is pinned to. */
  recordSource(input: OperationRef & ImageOfService & ResolvedSource): Promise<ResolvedSource>;
  /** Pins a service of a revision to the image that was built for it. */
  recordBuild(input: OperationRef & ImageOfService & BuiltImage): Promise<void>;
  /**
   * Makes the routes send requests to `serve` and `resume` and no longer to `drain`, and pins what serves to its digests.
   *
   * @returns the generation that the ingress must reach; `null` when the deployment has no route.
   */
  switchRoutes(input: SwitchRoutesInput): Promise<{ readonly generation: number | null }>;
  /** Records that the volumes of an operation have arrived: from now on they are where they were carried to. */
  recordCarried(input: OperationRef): Promise<void>;
  /** Tells which replicas of this operation are no longer healthy, before what they replace goes. */
  findUnhealthy(input: OperationRef & { readonly replicaIds: readonly string[] }): Promise<readonly string[]>;
  /** Forgets replicas whose containers have been removed; those that could not be are left to their node's return. */
  forgetReplicas(input: ForgetInput): Promise<void>;
  /** Records that the operation waits for a person, or that it goes on; empty `waitsFor` means that. */
  recordWaiting(input: OperationRef & { readonly waitsFor: string }): Promise<void>;
  /** Records that the operation reached its goal. */
  finishOperation(input: OperationRef): Promise<void>;
  /** Records that the operation failed or was cancelled; replicas that never served are forgotten. */
  failOperation(input: OperationRef & { readonly failure: OperationFailure }): Promise<void>;
  /** Marks the removal as running, takes the deployment's routes away, and says what there is to remove. */
  beginRemoval(input: OperationRef): Promise<RemovalPlan & { readonly generation: number | null }>;
  /** Deletes every row of the deployment but its history, and records what nodes that do not answer still have. */
  purgeDeployment(input: OperationRef & Leftovers): Promise<void>;
  /** Records what a node is, as its workflow found it. */
  recordNodeState(input: NodeStateChange): Promise<void>;
  /** Lists ids of deployments with replicas on a node which can be replaced elsewhere: not of those with volumes. */
  listHealable(input: { readonly nodeId: string }): Promise<readonly string[]>;
  /** Lists what a node still has of what was to be removed while it did not answer. */
  listDoomed(input: { readonly nodeId: string }): Promise<DoomedOnNode>;
  /** Forgets what has been removed since. */
  forgetDoomed(input: { readonly nodeId: string } & DoomedOnNode): Promise<void>;
}

/** A request for a deployment, with the deployment's place. */
export interface StoreInput<Request> {
  readonly deploymentId: string;
  readonly organizationId: string;
  readonly projectId: string;
  readonly request: Request;
}

/** Which service of which revision. */
export interface ImageOfService {
  readonly service: string;
  readonly revision: number;
}

/** Input of {@link StoreActivities.reserveReplicas}. */
export interface ReserveInput extends OperationRef {
  /** Rises with each call of one operation, from 1. */
  readonly batch: number;
  readonly starts: readonly { readonly service: string; readonly revision: number; readonly count: number }[];
  /** Ids of nodes that are not to be chosen, whatever is recorded of them; absent: none. */
  readonly avoid?: readonly string[];
  /** Whether this is on the way back: then a move bars no node, least of all the one that it left. */
  readonly back?: boolean;
}

/** Input of {@link StoreActivities.switchRoutes}. */
export interface SwitchRoutesInput extends OperationRef {
  /** Replicas that have just become healthy. */
  readonly serve: readonly StartedReplica[];
  /** Replicas that served before and shall again. */
  readonly resume: readonly string[];
  /** Replicas that the routes shall leave out. */
  readonly drain: readonly string[];
  /** Share of the requests for one revision; `null` when all that serve are alike. */
  readonly weight: { readonly revision: number; readonly percent: number } | null;
}

/** Input of {@link StoreActivities.forgetReplicas}. */
export interface ForgetInput extends OperationRef {
  readonly removed: readonly string[];
  /** Their nodes did not answer. */
  readonly unreachable: readonly string[];
}

/** What could not be removed from nodes that do not answer. */
export interface Leftovers {
  readonly unreachableReplicas: readonly DoomedReplica[];
  readonly unreachableNodes: readonly string[];
}

/** What a node still has and shall not. */
export interface DoomedOnNode extends DoomedData {
  readonly replicas: readonly (Omit<DoomedReplica, 'nodeId'> & { readonly deploymentId: string })[];
  readonly deployments: readonly { readonly deploymentId: string; readonly projectId: string }[];
}

/** Activities on the ingress, run by the orchestrator on the control queue. */
export interface IngressActivities {
  /**
   * Returns once every ingress has been seen serving `generation` or a later one.
   *
   * @throws INGRESS_UNCONFIRMED (retryable): not seen in time.
   */
  awaitIngress(input: { readonly generation: number; readonly timeoutMs: number }): Promise<void>;
  /**
   * Watches for a time how a revision's requests are answered.
   *
   * @throws CANARY_REFUSED (final) when more than the allowed share was answered 5xx, or too few were asked.
   */
  watchErrors(input: WatchErrorsInput): Promise<void>;
}

/** Input of {@link IngressActivities.watchErrors}. */
export interface WatchErrorsInput {
  readonly deploymentId: string;
  readonly revision: number;
  readonly gate: Extract<RolloutGate, { kind: 'errors' }>;
}
