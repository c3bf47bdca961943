import type { NodeConstraint } from '../placement/policy.ts';
import type { HealthCheck, ResourceLimits, RestartPolicy, VariableInput } from '../spec.ts';

/** What a Compose file asks for, in this platform's terms: complete, valid, and nothing in it that was not allowed. */
export interface ComposeApplication {
  /** The file's `name`; `null` when it has none, or one that is no DNS label. */
  readonly name: string | null;
  /** Every service stands after those that it depends on; beyond that, as in the file. */
  readonly services: readonly ComposeService[];
  /** Volumes that the file declares, used or not. */
  readonly volumes: readonly ComposeVolume[];
  /** What is taken differently than Compose would, each with its path into the file. No value of a variable is in it. */
  readonly warnings: readonly string[];
}

/** Where a service's image comes from. */
export type ComposeSource =
  | { readonly kind: 'image'; readonly reference: string }
  | {
      readonly kind: 'build';
      /** Folder below the one that the file stands in, without `.` and `..`; empty for that folder itself. */
      readonly context: string;
      /** Path within the context. */
      readonly dockerfile: string;
      /** Stage to stop at; `null` is the last one. */
      readonly target: string | null;
      readonly args: readonly VariableInput[];
    };

/** What a service sees at a path of its own. Paths are absolute, without `.` and `..`. */
export type ComposeMount =
  | { readonly kind: 'volume'; readonly volume: string; readonly path: string; readonly readOnly: boolean }
  | { readonly kind: 'tmpfs'; readonly path: string; readonly sizeBytes: number };

/** A service that has to be there first: running, or healthy. */
export interface ComposeDependency {
  readonly service: string;
  readonly condition: 'started' | 'healthy';
}

/** One service of the application. */
export interface ComposeService {
  /** A DNS label; also the hostname by which the other services reach this one. */
  readonly name: string;
  readonly source: ComposeSource;
  /** Command in place of the image's; empty means the image's own, or none where `entrypoint` is set. */
  readonly command: readonly string[];
  /** `null` means the image's own; an empty list means none. */
  readonly entrypoint: readonly string[] | null;
  /** Without a value where the caller has to give one. */
  readonly environment: readonly VariableInput[];
  /** Ports of the container that the ingress leads to, in the file's order. */
  readonly ports: readonly number[];
  /** Further ports that it listens on, for the other services only. */
  readonly expose: readonly number[];
  readonly replicas: number;
  readonly limits: ResourceLimits;
  readonly healthCheck: HealthCheck;
  readonly restartPolicy: RestartPolicy;
  /** What its node has to be. */
  readonly constraints: readonly NodeConstraint[];
  readonly volumes: readonly ComposeMount[];
  readonly dependsOn: readonly ComposeDependency[];
  /** Between SIGTERM and SIGKILL; `null` is the platform's own. */
  readonly stopGracePeriodMs: number | null;
  /** `user` or `user:group`, as names or numbers; `null` is the image's own. */
  readonly user: string | null;
  readonly workingDir: string | null;
  readonly readOnly: boolean;
  readonly init: boolean;
}

/** A named volume of the application. */
export interface ComposeVolume {
  readonly name: string;
}

/** Bounds of a Compose file, beside those of a spec (`SPEC_LIMITS`). */
export const COMPOSE_LIMITS = {
  services: 50,
  /** Of a service, so that a hostname has room for application, project and domain beside it (63 a label). */
  nameLength: 40,
  volumes: 100,
  volumeNameLength: 63,
  /** Mounts of one service. */
  mounts: 64,
  /** Published and exposed ports of one service, ranges counted out. */
  ports: 64,
  /** Nesting of maps and lists; `services.web.healthcheck.test[0]`, the usual deepest, is five. */
  depth: 32,
  /** Values, aliases counted out: fifty services of 400 values each. */
  values: 20_000,
  /** Characters of all values with their variables put in. */
  characters: 1024 * 1024,
  /** Nesting of one variable's default in another's. */
  nestedVariables: 16,
  /** 512 GiB: a service that asks for more has mistaken a unit. */
  memoryBytes: 2 ** 39,
  stopGracePeriodMs: 10 * 60_000,
} as const;
