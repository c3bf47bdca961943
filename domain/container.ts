import type { ContainerSettings, HealthCheck, ResourceLimits, RestartPolicy } from './spec.ts';

/** Labels that a node adds to its containers for itself, beside those of `naming.ts`. */
export const NODE_LABEL = {
  /** Hex SHA-256 of everything the container was created from: what tells "the same" from "another with this name". */
  config: 'cloud.obiente.config',
  /** Health rules as JSON, so that checks go on after the node process has restarted. Holds no secrets. */
  health: 'cloud.obiente.health',
  /** Wanted restart policy: what the daemon is told is another one while it is held back. */
  restart: 'cloud.obiente.restart',
  /** Milliseconds from SIGTERM to SIGKILL, where the application says it. */
  stopGrace: 'cloud.obiente.stop_grace_ms',
} as const;

/** A container's life in Docker's words. */
export type ContainerStatus = 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';

/** A container as its daemon tells it at one moment. */
export interface ObservedContainer {
  /** Docker's full id, 64 hex digits. */
  readonly id: string;
  /** Docker's `sha256:…` of the image that it runs. */
  readonly imageId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly status: ContainerStatus;
  /** Exit code of the last exit; `null` for a container that never exited or runs again. */
  readonly exitCode: number | null;
  /** Whether the kernel killed a process of it for its memory. */
  readonly outOfMemory: boolean;
  /** How often Docker has restarted it by its policy. */
  readonly restarts: number;
  /** RFC 3339 with nanoseconds; `null` before the first start. */
  readonly startedAt: string | null;
  /** When it exited last, in the same form, also while it runs again; `null` before its first exit. */
  readonly finishedAt: string | null;
  /** What its daemon does by itself when it exits. */
  readonly daemonPolicy: RestartPolicy;
  /** Its own address on the project's bridge; `null` while it does not run. */
  readonly ipAddress: string | null;
  /** Port on the node's address that leads to it; `null` without one. */
  readonly hostPort: number | null;
  /** What Docker's own health check says; `null` for a container without one. */
  readonly dockerHealth: 'starting' | 'healthy' | 'unhealthy' | null;
}

/** A volume that a container mounts. */
export interface ContainerVolume {
  /** Docker's name of it. */
  readonly name: string;
  readonly path: string;
  readonly readOnly: boolean;
}

/** A container to be made. Everything else about it is the same for all: see the hardening in `adapters/docker`. */
export interface WantedContainer {
  readonly name: string;
  /** Docker's `sha256:…`: by id, so that a moved tag cannot change what runs. */
  readonly imageId: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string>>;
  /** Arguments in place of the image's; empty means the image's own. */
  readonly command: readonly string[];
  /** Port to publish on the node's address. */
  readonly port: number | null;
  readonly limits: ResourceLimits;
  readonly restartPolicy: RestartPolicy;
  readonly healthCheck: HealthCheck;
  readonly settings: ContainerSettings;
  /** Volumes by Docker's names; absent is the same as none. */
  readonly volumes?: readonly ContainerVolume[];
  /** Private network of the project or the deployment. */
  readonly network: string;
  /** Name under which others on that network reach it. */
  readonly alias: string;
  /** Absent where names mean the same to everybody on that network. */
  readonly names?: {
    /** Another name under which it is reached. */
    readonly own: string;
    /** By name, which other name is looked up in its place, by this container alone. */
    readonly lookUp: Readonly<Record<string, string>>;
  };
}

/** An image that the daemon holds. */
export interface PresentImage {
  /** Docker's `sha256:…`. */
  readonly imageId: string;
  /** Repository digest, or the image id of an image that has none. */
  readonly digest: string;
}

/** One line that an application printed. */
export interface LogLine {
  /** RFC 3339 with nanoseconds: when Docker received it. */
  readonly at: string;
  readonly stream: 'stdout' | 'stderr';
  /** Without its end, cut at 16 KiB. */
  readonly text: string;
}

/** What a daemon said about a container; `connected` says that events may have been missed before. */
export type ContainerEvent =
  | { readonly kind: 'connected' }
  | { readonly kind: 'changed' | 'removed' | 'out-of-memory'; readonly containerId: string }
  | { readonly kind: 'exited'; readonly containerId: string; readonly exitCode: number };

/** What a host has. */
export interface HostFacts {
  readonly hostname: string;
  readonly cpuCores: number;
  readonly memoryBytes: number;
  readonly dockerVersion: string;
  readonly architecture: string;
  /** What a cluster that the host is already part of says of it; absent on plain Docker. */
  readonly labels?: Readonly<Record<string, string>>;
  /** What the host is in its Docker Swarm; absent on plain Docker. */
  readonly swarm?: { readonly nodeId: string; readonly isManager: boolean };
}
