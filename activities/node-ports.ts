import type { Readable } from 'node:stream';
import type { NamedImage, ServiceRef } from '../contracts/rollout.ts';
import type { LogLine, ObservedContainer, PresentImage, WantedContainer } from '../domain/container.ts';
import type { RegistryCredential } from '../domain/registry-credential.ts';
import type { SiteServer } from '../domain/static-site.ts';
import type { BuildLimits } from './build-limits.ts';
import type { BuildReport } from './build-reporter.ts';
import type { Slots } from './build-slots.ts';
import type { EnsureBuiltImage } from './built-images.ts';
import type { GitPorts } from './git-ports.ts';

/** What a node's activities need of its Docker daemon; `adapters/docker` says what each promises. */
export interface ContainerRuntime {
  ensureImage(
    wanted: NamedImage,
    options: {
      deploymentId: string;
      findEarlierImageId?: (() => Promise<string | undefined>) | undefined;
      fetchCredential?: () => Promise<RegistryCredential | null>;
      signal?: AbortSignal;
      onProgress?: (status: string) => void;
    },
  ): Promise<PresentImage>;
  removeImages(labels: Readonly<Record<string, string>>): Promise<void>;
  ensureNetwork(network: { name: string; labels: Readonly<Record<string, string>> }): Promise<void>;
  forgetNetwork(name: string): void;
  removeNetworkIfUnused(name: string): Promise<void>;
  ensureVolume(volume: { name: string; labels: Readonly<Record<string, string>> }): Promise<void>;
  removeVolume(name: string): Promise<void>;
  findContainer(idOrName: string): Promise<ObservedContainer | undefined>;
  createContainer(wanted: WantedContainer): Promise<{ readonly id: string; readonly adopted: boolean }>;
  startContainer(id: string): Promise<void>;
  stopContainer(id: string, graceMs: number): Promise<void>;
  removeContainer(id: string): Promise<void>;
  readLogTail(containerId: string, lines: number): Promise<readonly LogLine[]>;
}

/** What knocks at applications; an answer of `null` means that the check passed. */
export interface HealthProber {
  probeTcp(target: { host: string; port: number; timeoutMs: number }): Promise<string | null>;
  probeHttp(target: {
    host: string;
    port: number;
    timeoutMs: number;
    path: string;
    expectedStatus: number | null;
  }): Promise<string | null>;
}

/** What keeps the restarts of this node's replicas. */
export interface ReplicaRestarts {
  /**
   * Leaves a container to whoever starts it: its daemon restarts it by the wanted policy, and nobody else does, until
   * released. Takes an earlier retirement back. Claims of one container may overlap.
   *
   * @returns how to release it.
   */
  claim(containerId: string): Promise<() => void>;
  /**
   * Says that a container is stopped on purpose: nobody restarts it any more, also in the next node process. Returns
   * when no restart of it is under way. To be called before the stop.
   */
  retire(container: Pick<ObservedContainer, 'id' | 'labels' | 'daemonPolicy'>): Promise<void>;
}

/** What a replica had printed when it was given up, without values of its variables. */
export interface FailureReport {
  readonly deploymentId: string;
  readonly replicaId: string;
  /** Oldest first. */
  readonly lines: readonly LogLine[];
  /** Whether there were lines before these. */
  readonly shortened: boolean;
}

/** What the replica activities need from the world. */
export interface ReplicaPorts {
  /** Instance id of the installation. */
  readonly instance: string;
  /** Address at which published ports are reached. */
  readonly nodeAddress: string;
  readonly runtime: ContainerRuntime;
  readonly prober: HealthProber;
  readonly restarts: ReplicaRestarts;
  readonly daemon: Pick<DaemonWatch, 'current' | 'onChange'>;
  /** Opens a service's variables. @throws NODE_UNAVAILABLE (retryable) while the control plane cannot be reached. */
  fetchEnvironment(of: ServiceRef): Promise<Readonly<Record<string, string>>>;
  /**
   * Opens the credential of the deployment's organization for the registry of the service's image; `null` without
   * one. @throws NODE_UNAVAILABLE (retryable) while the control plane cannot be reached.
   */
  fetchRegistryCredential(of: ServiceRef): Promise<RegistryCredential | null>;
  /** Makes an image that was built on this node or another one present. */
  readonly ensureBuiltImage: EnsureBuiltImage;
  /** Runs a task when one of the node's few start slots is free. */
  startSlot<Answer>(task: () => Promise<Answer>): Promise<Answer>;
  /** Calls back whenever something happened to a container, or may have; answers with how to stop that. */
  onContainerChange(containerId: string, listener: () => void): () => void;
  /** Keeps what a replica had printed when it was given up, so that it outlives the container. @throws when it cannot */
  keepFailureLog(report: FailureReport): Promise<void>;
  /** Told of a container that has just passed its gate, so that nobody else doubts it until its next check. */
  foundHealthy(container: ObservedContainer): void;
}

/** State of a node's Docker daemon. */
export interface DaemonState {
  readonly state: 'ready' | 'degraded';
  /** For people; empty when all is well. */
  readonly reason: string;
}

/** What watches a node's Docker daemon all the time. */
export interface DaemonWatch {
  current(): DaemonState;
  /** Whether this process is about to end. */
  isClosing(): boolean;
  /** Calls back at every change, and when this process is about to end; answers with how to stop that. */
  onChange(listener: () => void): () => void;
}

/** What measures the disk of a node's Docker daemon all the time. */
export interface DiskWatch {
  /** Share of it that has to stay free, percent; with 0 it may fill up. */
  readonly minFreePercent: number;
  /** Free share of it, percent; `undefined` before the first measurement. */
  freePercent(): number | undefined;
  /** Calls back whenever it was measured anew and is another; answers with how to stop that. */
  onChange(listener: () => void): () => void;
}

/** Plans of builds by nixpacks; `adapters/nixpacks` says what it promises. */
export interface NixpacksPort {
  readonly version: string;
  withPlan<Answer>(
    request: {
      readonly source: Readable;
      readonly variables: Readonly<Record<string, string>>;
      readonly signal: AbortSignal;
      readonly print: (line: string) => void;
    },
    use: (planned: {
      readonly context: Readable;
      readonly args: Readonly<Record<string, string>>;
      readonly found: string;
    }) => Promise<Answer>,
  ): Promise<Answer>;
}

/** What the build activity needs from the world. */
export interface BuildPorts {
  readonly instance: string;
  /** What one build may use. */
  readonly limits: BuildLimits & { readonly cpuCores: number; readonly memoryBytes: number };
  /** The node's places for builds. */
  readonly slots: Slots;
  /** Opens the variables whose values must not be seen in what the build prints. @throws as {@link ReplicaPorts} says */
  fetchEnvironment: ReplicaPorts['fetchEnvironment'];
  /** Tells the control plane how a build goes. @returns `false` when nothing more is wanted. */
  reportBuild(report: BuildReport): Promise<boolean>;
  /** Streams a stored build context; the stream fails when its content does not have that hash. */
  fetchContext(of: { deploymentId: string; contextSha256: string }, signal: AbortSignal): Readable;
  readonly git: GitPorts;
  /** What serves pages, and makes a context out of their files, as a tar archive, and a Dockerfile. */
  readonly site: SiteServer & { pack(page: Readable, dockerfile: string): Readable };
  /** What builds sources without a Dockerfile; `null` where this node has no nixpacks. */
  readonly nixpacks: NixpacksPort | null;
  /** Opens the arguments of a service's build. @throws NODE_UNAVAILABLE (retryable) */
  fetchBuildArguments(of: ServiceRef): Promise<Readonly<Record<string, string>>>;
  buildImage(request: {
    context: Readable;
    dockerfilePath: string;
    target?: string | undefined;
    args: Readonly<Record<string, string>>;
    tag: string;
    labels: Readonly<Record<string, string>>;
    limits: { cpuCores: number; memoryBytes: number };
    signal: AbortSignal;
    onLine: (line: string) => void;
  }): Promise<{ readonly imageId: string }>;
  /** Pushes what was built where other nodes can pull it; absent where nodes send images to each other. */
  readonly publish?: (of: ServiceRef & { imageId: string; signal: AbortSignal }) => Promise<string>;
}
