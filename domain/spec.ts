import type { ComposeOrigin } from './compose-origin.ts';
import type { PlacementPolicy } from './placement/policy.ts';
import type { RolloutPolicy } from './rollout-policy.ts';

/** When the registry is asked for an image that a node has already; where none is given, by the tag: see `image-access.ts`. */
export type PullPolicy = 'always' | 'if-not-present';

/** An image that is pulled. */
export interface ImageSource {
  readonly kind: 'image';
  readonly reference: string;
  readonly pullPolicy?: PullPolicy;
}

/** An image that is built from an uploaded folder. */
export interface DockerfileSource<Variable = SealedVariable> {
  readonly kind: 'dockerfile';
  readonly contextSha256: string;
  readonly dockerfilePath: string;
  /** Stage to stop at; absent is the last one. */
  readonly target?: string;
  /** Build arguments; they stay readable in the image. */
  readonly args?: readonly Variable[];
}

/** A page that is ready to be served, from an uploaded folder. */
export interface StaticSource {
  readonly kind: 'static';
  readonly contextSha256: string;
  /** The part of the folder that is served; empty is all of it. */
  readonly folder: string;
}

/** An image that nixpacks builds from an uploaded folder. */
export interface NixpacksSource<Variable = SealedVariable> {
  readonly kind: 'nixpacks';
  readonly contextSha256: string;
  /** Variables of the build; they stay readable in the image. */
  readonly args?: readonly Variable[];
}

/** How the files of a commit become an image, where that is said. */
export type GitBuilder = 'dockerfile' | 'static' | 'nixpacks';

/** An image that is built from a commit of a Git repository. Which commit a name stands for is found out once per revision. */
export interface GitSource<Variable = SealedVariable> {
  readonly kind: 'git';
  /** In the one spelling of `parseGitUrl`. */
  readonly url: string;
  /** A branch, a tag, a full ref name, a whole commit id, or `HEAD` for the server's default branch. */
  readonly ref: string;
  /** The folder that is built; empty is all of it. */
  readonly subdirectory: string;
  readonly submodules: boolean;
  /** Within the folder; absent: what is there decides how it is built. */
  readonly dockerfilePath?: string;
  /** How it is built; absent: the Dockerfile that is named, or what is there decides. */
  readonly builder?: GitBuilder;
  /** Asks for the services of a Compose file, at this path within the folder; see {@link ComposeOrigin}. */
  readonly composePath?: string;
  /** Whether a Compose file counts too, where there is nothing else: then what is there is looked at first. */
  readonly detect?: true;
  /** Hex SHA-256 of all that is built from, packed, of a service that a Compose file made; absent where nobody knows. */
  readonly filesSha256?: string;
  /** Stage to stop at; absent is the last one. */
  readonly target?: string;
  /** Build arguments; they stay readable in the image. */
  readonly args?: readonly Variable[];
}

/** A source that is built. */
export type BuiltSource<Variable = SealedVariable> =
  | DockerfileSource<Variable>
  | StaticSource
  | NixpacksSource<Variable>
  | GitSource<Variable>;

/** The build arguments of a source. */
export function argumentsOf<Variable>(source: Source<Variable>): readonly Variable[] {
  return source.kind === 'image' || source.kind === 'static' ? [] : (source.args ?? []);
}

/** Whether only a node that has nixpacks can build it. */
export function needsNixpacks(source: { readonly kind: Source['kind']; readonly builder?: GitBuilder }): boolean {
  return source.kind === 'nixpacks' || (source.kind === 'git' && source.builder === 'nixpacks');
}

/** Where a service's image comes from. */
export type Source<Variable = SealedVariable> = ImageSource | BuiltSource<Variable>;

/**
 * A variable whose value only a node opens.
 *
 * `sealed` is opaque here (AES-256-GCM under the organization's key, bound to organization, deployment, service, name
 * and `version`); `fingerprint` is 12 hex digits of a keyed hash of the value. `version` is a UUID that the value got
 * when it was sealed: it goes with the value from revision to revision. A value that was sealed before there were
 * versions has none.
 */
export interface SealedVariable {
  readonly name: string;
  readonly version?: string;
  readonly sealed: string;
  readonly fingerprint: string;
}

/** A variable as a caller gives it: without a value, the one of the current revision is kept. */
export interface VariableInput {
  readonly name: string;
  readonly value: string | undefined;
}

/** How health is found out. */
export type HealthProbe =
  | { readonly kind: 'automatic' }
  | { readonly kind: 'http'; readonly path: string; readonly expectedStatus: number | null }
  | { readonly kind: 'command'; readonly command: readonly string[] }
  | { readonly kind: 'none' };

/** When a replica counts as healthy. Times in milliseconds. */
export interface HealthCheck {
  readonly probe: HealthProbe;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Failed checks in a row until a replica is unhealthy. */
  readonly retries: number;
  /** How long a replica may take to become healthy before failed checks count. */
  readonly startPeriodMs: number;
}

/** What a replica may use at most; also what placement reserves for it. */
export interface ResourceLimits {
  readonly cpuCores: number;
  readonly memoryBytes: number;
}

/** A volume of the project as a service sees it. */
export interface VolumeMount {
  /** Name of the volume in the project. */
  readonly volume: string;
  /** Absolute, without `.` and `..`. */
  readonly path: string;
  readonly readOnly: boolean;
}

/** What happens when a replica exits. */
export type RestartPolicy = 'always' | 'on-failure' | 'never';

/**
 * What the replicas of one service are made of, and how many there are. Complete and valid.
 *
 * Variables are sealed, but for those that have just come in.
 */
export interface ServiceParts<Variable = SealedVariable> {
  readonly source: Source<Variable>;
  readonly replicas: number;
  /** TCP port that the application listens on; `null` means that it gets no route. */
  readonly port: number | null;
  readonly environment: readonly Variable[];
  readonly healthCheck: HealthCheck;
  readonly limits: ResourceLimits;
  readonly restartPolicy: RestartPolicy;
  /** Command in place of the image's; empty means the image's own. */
  readonly command: readonly string[];
  /** Absent is the same as none. What is in them outlives the deployment. */
  readonly volumes?: readonly VolumeMount[];
}

/** What only a Compose file says of a container. */
export interface ContainerSettings {
  /** `null` means the image's own; an empty list means none. */
  readonly entrypoint: readonly string[] | null;
  /** `user` or `user:group`, as names or numbers; `null` is the image's own. */
  readonly user: string | null;
  readonly workingDir: string | null;
  readonly readOnly: boolean;
  /** Whether a small init process reaps what the application leaves behind. */
  readonly init: boolean;
  /** Memory as a file system, at absolute paths. */
  readonly tmpfs: readonly { readonly path: string; readonly sizeBytes: number }[];
  /** From SIGTERM to SIGKILL; `null` is the platform's own. */
  readonly stopGraceMs: number | null;
  /** Where an automatic check knocks at a service that the ingress does not lead to; `null`: that it runs is enough. */
  readonly checkPort: number | null;
}

/** The settings of a container of which nothing is said. */
export const PLAIN_CONTAINER: ContainerSettings = {
  entrypoint: null,
  user: null,
  workingDir: null,
  readOnly: false,
  init: false,
  tmpfs: [],
  stopGraceMs: null,
  checkPort: null,
};

/** One service of a deployment. */
export interface ServiceSpec<Variable = SealedVariable> extends ServiceParts<Variable> {
  /** A DNS label, its own within the deployment. */
  readonly name: string;
  readonly container: ContainerSettings;
  /** Services that have to be healthy before this one is started. */
  readonly needs: readonly string[];
}

/** A deployment of one service, made of a single image. */
export interface SingleSpec<Variable = SealedVariable> extends ServiceParts<Variable> {
  /** How a revision replaces another one. */
  readonly rollout: RolloutPolicy;
  /** Where replicas may go. Absent: anywhere. */
  readonly placement?: PlacementPolicy;
}

/** A deployment of several services, that come up and go back together. */
export interface ComposeSpec<Variable = SealedVariable> {
  /** Each stands after those that it needs. */
  readonly services: readonly ServiceSpec<Variable>[];
  readonly rollout: RolloutPolicy;
  /** Where all of them may go, as one. Absent: anywhere. */
  readonly placement?: PlacementPolicy;
  /** What was taken differently than Compose would, for people. */
  readonly warnings: readonly string[];
  /** The repository that the file is read from; until it is, there are no services. Absent: the file was uploaded. */
  readonly origin?: ComposeOrigin;
}

/**
 * What a deployment is wanted to be, complete and valid. Immutable once it is a revision, but for what its repository
 * says, which is put in once.
 */
export type DeploymentSpec = SingleSpec | ComposeSpec;

/** A spec of one service as a caller gives it: parsed and valid, its variables not sealed yet. */
export interface SpecInput extends Omit<SingleSpec<VariableInput>, 'replicas'> {
  /** `null` when the caller names no number. */
  readonly replicas: number | null;
}

/** The services of a Compose file as a caller gives them: parsed and valid, their variables not sealed yet. */
export type ComposeInput = Omit<ComposeSpec<VariableInput>, 'origin'>;

/** Whether a spec is one of several services. */
export function isCompose<One extends object, Several extends Pick<ComposeSpec | ComposeInput, 'services'>>(
  spec: One | Several,
): spec is Several {
  return 'services' in spec;
}

/** Name of the one service of a deployment that is made of a single image. */
export const ONLY_SERVICE = 'app';

/** The services of a deployment, each after those that it needs. */
export function servicesOf(spec: DeploymentSpec): readonly ServiceSpec[] {
  if (isCompose(spec)) return spec.services;
  const { rollout: _, placement: __, ...parts } = spec;
  return [{ name: ONLY_SERVICE, ...parts, container: PLAIN_CONTAINER, needs: [] }];
}

/** Container health check of the original platform: 30 s interval, 10 s timeout, 3 retries, 40 s start period. */
export const DEFAULT_HEALTH_CHECK: HealthCheck = {
  probe: { kind: 'automatic' },
  intervalMs: 30_000,
  timeoutMs: 10_000,
  retries: 3,
  startPeriodMs: 40_000,
};

/** One core and 512 MiB: enough for a small web service, little enough that one of them cannot take a small host. */
export const DEFAULT_LIMITS: ResourceLimits = { cpuCores: 1, memoryBytes: 512 * 1024 * 1024 };

/** Docker refuses a memory limit under 6 MiB. */
export const MIN_MEMORY_BYTES = 6 * 1024 * 1024;

/** Bounds of a spec, beside those that the contract (`spec.proto`) states field by field. */
export const SPEC_LIMITS = {
  environmentBytes: 256 * 1024,
  variableBytes: 64 * 1024,
  variables: 1000,
  commandBytes: 32 * 1024,
  replicas: 10_000,
} as const;
