import type { VolumeCopy } from '../domain/naming.ts';
import type { RecordedReplica, ServiceGoal } from '../domain/rollout-goal.ts';
import type { RolloutPolicy } from '../domain/rollout-policy.ts';
import type {
  ContainerSettings,
  DockerfileSource,
  GitSource,
  HealthCheck,
  ImageSource,
  NixpacksSource,
  PullPolicy,
  ResourceLimits,
  RestartPolicy,
  StaticSource,
} from '../domain/spec.ts';
import type { PlannedReading } from './source-reading.ts';

/** Which service of which revision of which deployment. */
export interface ServiceRef {
  readonly deploymentId: string;
  readonly revision: number;
  readonly service: string;
}

/** A replica with the node that holds its reservation. */
export interface PlannedReplica {
  readonly replicaId: string;
  readonly service: string;
  readonly revision: number;
  readonly index: number;
  readonly nodeId: string;
}

/** A replica that exists already, of whatever revision. */
export interface ExistingReplica extends RecordedReplica, PlannedReplica {
  /** Whether its node is known not to answer. */
  readonly nodeLost: boolean;
}

/** A volume of the platform as a container sees it. */
export interface MountedVolume extends VolumeCopy {
  readonly path: string;
  readonly readOnly: boolean;
}

/** Services that find each other by name, and nothing that ran before them under the same names. */
export interface Cohort {
  readonly number: number;
  /** Names of all its services. */
  readonly services: readonly string[];
}

/** What all replicas of one service of one revision have in common, as a node needs it to start one. */
export interface ReplicaTemplate {
  readonly deploymentId: string;
  readonly projectId: string;
  /** Name of the service within its deployment. */
  readonly service: string;
  /** Name of the deployment. */
  readonly serviceName: string;
  readonly operationId: string;
  readonly revision: number;
  readonly port: number | null;
  readonly command: readonly string[];
  readonly healthCheck: HealthCheck;
  readonly limits: ResourceLimits;
  readonly restartPolicy: RestartPolicy;
  readonly container: ContainerSettings;
  /** Absent is the same as none. */
  readonly volumes?: readonly MountedVolume[];
  /** Whether the revision has variables: the node then fetches them, encrypted for its own key. */
  readonly hasEnvironment: boolean;
  /** Absent for a service that is alone. */
  readonly cohort?: Cohort;
}

/** What stays out of a history: the node fetches the values of build arguments, encrypted for its own key. */
interface WithoutValues {
  readonly hasArguments: boolean;
}

/** A source that is built from an uploaded folder. */
export type PlannedFolder = Omit<DockerfileSource, 'args'> & WithoutValues;

/** A source that is built from a Git repository. */
export interface PlannedCommit extends Omit<GitSource, 'args'>, WithoutValues {
  /** The commit to which the revision's service is pinned; `null` before its ref was looked up. */
  readonly commit: string | null;
}

/** A source that nixpacks builds from an uploaded folder. */
export type PlannedPack = Omit<NixpacksSource, 'args'> & WithoutValues;

/** Where a service's image comes from, without the values of build arguments. */
export type PlannedSource = ImageSource | PlannedFolder | StaticSource | PlannedPack | PlannedCommit;

/** What a build is made of. */
export type BuildSource = PlannedFolder | StaticSource | PlannedPack | (PlannedCommit & { readonly commit: string });

/** One service of the goal: what its replicas are made of. */
export interface ServicePlan {
  readonly template: ReplicaTemplate;
  /** Services that have to be healthy before this one is started. */
  readonly needs: readonly string[];
  readonly source: PlannedSource;
  /** Digest to which the revision's service was pinned already; `null` before its first replica has started. */
  readonly imageDigest: string | null;
  /** The node that builds the image first; `null` when there is nothing to build. */
  readonly buildNodeId: string | null;
}

/** What is to be rolled out, and the first replicas for it, decided and reserved. Asking twice gives the same plan. */
export interface RolloutPlan {
  readonly policy: RolloutPolicy;
  readonly goal: readonly ServiceGoal[];
  /** Volumes that go along to another node, before anything is started there; absent: none. */
  readonly carries?: readonly CarriedVolume[];
  /** Services of the goal that write a volume, so that two replicas of one never exist side by side; absent: none. */
  readonly exclusive?: readonly string[];
  /** Whether replicas that fit the goal already are replaced all the same. */
  readonly renew: boolean;
  /** By service, for each of the goal that wants replicas. */
  readonly services: readonly ServicePlan[];
  /** Replicas whose capacity is reserved and which are not started yet. */
  readonly reserved: readonly PlannedReplica[];
  /** All other replicas of the deployment. */
  readonly existing: readonly ExistingReplica[];
  /** What has to be read first: then there is nothing else in the plan. */
  readonly reading?: PlannedReading;
}

/** A volume on its way from node to node. */
export interface CarriedVolume {
  readonly volumeId: string;
  readonly projectId: string;
  readonly from: string;
  readonly to: string;
  /** The copy that is made; a node asks the control plane which one it is made of. */
  readonly copy: number;
}

/** A container that is to go from a node. */
export interface DoomedReplica {
  readonly nodeId: string;
  readonly revision: number;
  readonly index: number;
}

/** What a removal has to take away. */
export interface RemovalPlan {
  readonly deploymentId: string;
  readonly projectId: string;
  readonly replicas: readonly DoomedReplica[];
  /** Nodes that may hold networks or images of the deployment. */
  readonly nodeIds: readonly string[];
  /** Those of them that are known not to answer, or whose Docker daemon does not. */
  readonly lostNodeIds: readonly string[];
}

/** An image of a registry: with a digest, exactly that one. The policy counts while there is none. */
export interface NamedImage {
  readonly kind: 'reference';
  readonly reference: string;
  readonly digest: string | null;
  readonly pullPolicy?: PullPolicy;
}

/** The image that a replica must run. */
export type WantedImage =
  | NamedImage
  /** Built beforehand, on whichever node; `imageId` is Docker's `sha256:…`. */
  | { readonly kind: 'built'; readonly imageId: string };

/** How long the parts of a start took, milliseconds. */
export interface StartTimes {
  /** Until image, network and variables were there. */
  readonly prepareMs: number;
  /** Until Docker had started the container. */
  readonly startMs: number;
  /** Until it was found healthy. */
  readonly healthyMs: number;
}

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
  /** Which attempt succeeded, from 1. */
  readonly attempt: number;
  readonly times: StartTimes;
}

/** Why an operation failed, as it is stored and shown. */
export interface OperationFailure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}
