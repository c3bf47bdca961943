import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { GitBuilder } from '../domain/spec.ts';
import { SITE_PORT } from '../domain/static-site.ts';
import {
  type DeploymentSpec,
  DeploymentSpecSchema,
  DockerfileSourceSchema,
  type EnvironmentVariableSchema,
  GitSourceSchema,
  ImageSourceSchema,
  NixpacksSourceSchema,
  type PlacementPolicy,
  PullPolicy,
  RestartPolicy,
  StaticSourceSchema,
  VolumeMountSchema,
} from '../gen/obiente/cloud/v1/spec_pb.ts';
import type { GitWish, Pull, Wishes } from './deploy-options.ts';
import { toPlacementPolicy } from './placement-options.ts';
import { wantedBuilder } from './wanted-builder.ts';
import { toHealthCheck } from './wanted-health.ts';
import { toRolloutPolicy } from './wanted-rollout.ts';

/** A repository, and which file of it counts. */
interface WantedCommit extends GitWish {
  readonly kind: 'git';
  /** Empty: none is named. */
  readonly dockerfile: string;
  readonly builder?: GitBuilder;
  /** Path of the Compose file that is asked for; empty: the first that has one of Compose's own names. */
  readonly compose?: string;
}

/** Where the new revision's image comes from. */
export type WantedSource =
  | { readonly kind: 'image'; readonly reference: string }
  | { readonly kind: 'context'; readonly sha256: string; readonly dockerfile: string }
  /** A page, all of the uploaded folder. */
  | { readonly kind: 'page'; readonly sha256: string }
  /** What nixpacks builds. */
  | { readonly kind: 'application'; readonly sha256: string }
  | WantedCommit
  | {
      readonly kind: 'compose';
      /** The text of the file. */
      readonly file: string;
      readonly variables: Readonly<Record<string, string>>;
      /** Digests of uploaded folders, by their path beside the file. */
      readonly contexts: Readonly<Record<string, string>>;
    };

const RESTART = {
  always: RestartPolicy.ALWAYS,
  'on-failure': RestartPolicy.ON_FAILURE,
  never: RestartPolicy.NEVER,
} as const;

const PULL: Readonly<Record<Pull, PullPolicy>> = {
  auto: PullPolicy.UNSPECIFIED,
  always: PullPolicy.ALWAYS,
  'if-not-present': PullPolicy.IF_NOT_PRESENT,
};

/**
 * Makes the spec to ask for: the present one, if there is one, with what the caller wishes in place of what was.
 *
 * Variables of the present spec stay, without a value, which means "as it is"; so an update need not know secrets.
 */
export function wantedSpec(input: {
  present: DeploymentSpec | undefined;
  source: WantedSource;
  wishes: Wishes;
}): DeploymentSpec {
  const { present, source, wishes } = input;
  if (source.kind === 'compose') return composeSpec(present, source, wishes);
  if (source.kind === 'git') return repositorySpec(present, source, wishes);
  const spec = create(DeploymentSpecSchema, {
    ...(present === undefined ? {} : keptOf(present)),
    source: wantedSource(present, source, wishes),
    environment: environmentOf(present, wishes),
  });
  applyWishes(spec, wishes);
  if (source.kind === 'page' && wishes.port === undefined) spec.port ??= SITE_PORT;
  return spec;
}

/** The file says all but how it is rolled out, and where. */
function composeSpec(
  present: DeploymentSpec | undefined,
  { file, variables, contexts }: Extract<WantedSource, { kind: 'compose' }>,
  wishes: Wishes,
): DeploymentSpec {
  return create(DeploymentSpecSchema, {
    source: { case: 'compose', value: { file, variables: { ...variables }, contexts: { ...contexts } } },
    ...besidesFile(present, wishes),
  });
}

function besidesFile(present: DeploymentSpec | undefined, { rollout, placement: wish }: Wishes) {
  const policy = rollout ? toRolloutPolicy(rollout) : present?.rollout;
  const kept = placementOf(present);
  const placement = wish ? toPlacementPolicy(kept, wish) : kept;
  return {
    ...(policy === undefined ? {} : { rollout: policy }),
    ...(placement === undefined ? {} : { placement }),
  };
}

/** Constraints that the file had the last time are among the present ones, and go when they go from the file. */
function placementOf(present: DeploymentSpec | undefined): PlacementPolicy | undefined {
  return present?.placement && { ...present.placement, constraints: [] };
}

/**
 * What a repository holds, only a node finds out. Variables are those of the image's containers, or what stands for the
 * Compose file's own. A Compose file that was asked for once stays asked for.
 */
function repositorySpec(present: DeploymentSpec | undefined, source: WantedCommit, wishes: Wishes): DeploymentSpec {
  const before = present?.source.case === 'compose' ? present.source.value.git : undefined;
  const isSame = before?.url === source.url && source.dockerfile === '' && source.builder === undefined;
  const composePath = source.compose ?? (isSame ? before?.composePath : undefined);
  const environment = environmentOf(present, wishes);
  if (composePath !== undefined) {
    const wanted = wantedSource(present, { ...source, compose: composePath }, wishes);
    return create(DeploymentSpecSchema, { source: wanted, environment, ...besidesFile(present, wishes) });
  }
  const kept = present === undefined ? {} : keptOf(present);
  const spec = create(DeploymentSpecSchema, { ...kept, source: wantedSource(present, source, wishes), environment });
  const placement = placementOf(present);
  if (present?.source.case === 'compose' && placement) spec.placement = placement;
  applyWishes(spec, wishes);
  return spec;
}

/** Puts what the caller wishes into a spec, but for source and variables. @returns the contract's names of what it put. */
export function applyWishes(spec: DeploymentSpec, wishes: Wishes): string[] {
  const { replicas, port, health, restart, command, volumes, cpuCores, memoryBytes, rollout, placement } = wishes;
  const changed: string[] = [];
  const put = (path: string, isWished: boolean, change: () => void): void => {
    if (!isWished) return;
    change();
    changed.push(path);
  };
  put('replicas', replicas !== undefined, () => Object.assign(spec, { replicas }));
  put('port', port !== undefined, () => (port === null ? delete spec.port : Object.assign(spec, { port })));
  put('health_check', health !== undefined, () =>
    Object.assign(spec, { healthCheck: health && toHealthCheck(health) }),
  );
  put('restart_policy', restart !== undefined, () =>
    Object.assign(spec, { restartPolicy: restart && RESTART[restart] }),
  );
  put('command', command !== undefined, () => Object.assign(spec, { command: [...(command ?? [])] }));
  put('volumes', volumes !== undefined, () => {
    spec.volumes = (volumes ?? []).map((mount) => create(VolumeMountSchema, mount));
  });
  put('rollout', rollout !== undefined, () => Object.assign(spec, { rollout: rollout && toRolloutPolicy(rollout) }));
  put('placement', placement !== undefined, () => {
    if (placement) spec.placement = toPlacementPolicy(spec.placement, placement);
  });
  put('limits', cpuCores !== undefined || memoryBytes !== undefined, () => {
    spec.limits = {
      $typeName: 'obiente.cloud.v1.ResourceLimits',
      ...spec.limits,
      ...(cpuCores === undefined ? {} : { cpuCores }),
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
    };
  });
  return changed;
}

/** The number of replicas is left out: without one as many run as now, also when that changes meanwhile. */
function keptOf(present: DeploymentSpec) {
  const { port, healthCheck, limits, restartPolicy, command, volumes, rollout, placement } = present;
  return {
    ...(rollout === undefined ? {} : { rollout }),
    ...(placement === undefined ? {} : { placement }),
    ...(port === undefined ? {} : { port }),
    ...(healthCheck === undefined ? {} : { healthCheck }),
    ...(limits === undefined ? {} : { limits }),
    restartPolicy,
    command,
    volumes,
  };
}

function pullPolicyOf(present: DeploymentSpec | undefined, { pull }: Wishes): PullPolicy {
  if (pull !== undefined) return PULL[pull];
  return present?.source.case === 'image' ? present.source.value.pullPolicy : PullPolicy.UNSPECIFIED;
}

/** The source to ask for; an image keeps the present spec's pull policy unless another is wished. */
export function wantedSource(
  present: DeploymentSpec | undefined,
  source: Exclude<WantedSource, { kind: 'compose' }>,
  wishes: Wishes,
): DeploymentSpec['source'] {
  if (source.kind === 'image') {
    const { reference } = source;
    const value = create(ImageSourceSchema, { reference, pullPolicy: pullPolicyOf(present, wishes) });
    return { case: 'image', value };
  }
  if (source.kind === 'page') {
    return { case: 'static', value: create(StaticSourceSchema, { contextSha256: source.sha256 }) };
  }
  if (source.kind === 'application') {
    return { case: 'nixpacks', value: create(NixpacksSourceSchema, { contextSha256: source.sha256 }) };
  }
  if (source.kind === 'git') {
    const { kind: _, dockerfile: dockerfilePath, compose: composePath, builder: by, ...repository } = source;
    const builder = wantedBuilder(by);
    const file = composePath === undefined ? {} : { composePath };
    return { case: 'git', value: create(GitSourceSchema, { ...repository, dockerfilePath, builder, ...file }) };
  }
  const { sha256, dockerfile } = source;
  const value = create(DockerfileSourceSchema, { contextSha256: sha256, dockerfilePath: dockerfile });
  return { case: 'dockerfile', value };
}

function environmentOf(
  present: DeploymentSpec | undefined,
  { variables, unset }: Wishes,
): MessageInitShape<typeof EnvironmentVariableSchema>[] {
  const names = new Set([...(present?.environment ?? []).map(({ name }) => name), ...variables.keys()]);
  return [...names]
    .filter((name) => !unset.has(name))
    .map((name) => {
      const value = variables.get(name);
      return value === undefined ? { name } : { name, value };
    });
}
