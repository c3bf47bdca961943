import type { RolloutPolicy } from './rollout-policy.ts';

/** When the registry is asked for an image that a node has already; where none is given, by the tag: see `image-access.ts`. */
export type PullPolicy = 'always' | 'if-not-present';

/** Where a deployment's image comes from. */
export type Source =
  | { readonly kind: 'image'; readonly reference: string; readonly pullPolicy?: PullPolicy }
  | { readonly kind: 'dockerfile'; readonly contextSha256: string; readonly dockerfilePath: string };

/**
 * A variable whose value only a node opens.
 *
 * `sealed` is opaque here (AES-256-GCM under the organization's key, bound to organization, deployment, name and
 * `version`); `fingerprint` is 12 hex digits of a keyed hash of the value. `version` is a UUID that the value got when it
 * was sealed: it goes with the value from revision to revision. A value that was sealed before there were versions has
 * none.
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

/** What happens when a replica exits. */
export type RestartPolicy = 'always' | 'on-failure' | 'never';

/** What a deployment is wanted to be, complete and valid. Immutable once it is a revision. */
export interface DeploymentSpec {
  readonly source: Source;
  readonly replicas: number;
  /** TCP port that the application listens on; `null` means that it gets no route. */
  readonly port: number | null;
  readonly environment: readonly SealedVariable[];
  readonly healthCheck: HealthCheck;
  readonly limits: ResourceLimits;
  readonly restartPolicy: RestartPolicy;
  /** Command in place of the image's; empty means the image's own. */
  readonly command: readonly string[];
  /** How a revision replaces another one. */
  readonly rollout: RolloutPolicy;
}

/** A spec as a caller gives it: parsed and valid, its variables not sealed yet. */
export interface SpecInput extends Omit<DeploymentSpec, 'environment' | 'replicas'> {
  readonly environment: readonly VariableInput[];
  /** `null` when the caller names no number. */
  readonly replicas: number | null;
}

/** Name of the one service of a deployment that is made of a single image. */
export const ONLY_SERVICE = 'app';

/** A service of a deployment: what its replicas are made of. */
export interface ServiceSpec extends Omit<DeploymentSpec, 'rollout'> {
  readonly name: string;
}

/** The services of a deployment, by name. */
export function servicesOf({ rollout: _, ...spec }: DeploymentSpec): readonly ServiceSpec[] {
  return [{ name: ONLY_SERVICE, ...spec }];
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
