import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, durationMs } from '@bufbuild/protobuf/wkt';
import type { ComposeOrigin } from '../../domain/compose-origin.ts';
import {
  type DeploymentSpec,
  type GitSource as DomainGitSource,
  type PullPolicy as DomainPullPolicy,
  type RestartPolicy as DomainRestartPolicy,
  type HealthProbe,
  isCompose,
  type SealedVariable,
  type ServiceParts,
  type Source,
  type VariableInput,
} from '../../domain/spec.ts';
import type { RawHealthCheck, RawSpec } from '../../domain/spec-parse.ts';
import {
  type ComposeServiceSchema,
  DeploymentSpecSchema,
  type DockerfileSource,
  type GitSource,
  type GitSourceSchema,
  type HealthCheckSchema,
  type ImageSource,
  PullPolicy,
  RestartPolicy,
  type DeploymentSpec as WireSpec,
} from '../../gen/obiente/cloud/v1/spec_pb.ts';
import { fromWireBuilder, toWireBuilder } from './builder.ts';
import { fromWirePlacement, toWirePlacement } from './placement.ts';
import { fromWireRollout, toWireRollout } from './rollout.ts';

const FROM_RESTART_POLICY: Record<RestartPolicy, DomainRestartPolicy | undefined> = {
  [RestartPolicy.UNSPECIFIED]: undefined,
  [RestartPolicy.ALWAYS]: 'always',
  [RestartPolicy.ON_FAILURE]: 'on-failure',
  [RestartPolicy.NEVER]: 'never',
};

const TO_RESTART_POLICY: Record<DomainRestartPolicy, RestartPolicy> = {
  always: RestartPolicy.ALWAYS,
  'on-failure': RestartPolicy.ON_FAILURE,
  never: RestartPolicy.NEVER,
};

const FROM_PULL_POLICY: Record<PullPolicy, DomainPullPolicy | undefined> = {
  [PullPolicy.UNSPECIFIED]: undefined,
  [PullPolicy.ALWAYS]: 'always',
  [PullPolicy.IF_NOT_PRESENT]: 'if-not-present',
};

const TO_PULL_POLICY: Record<DomainPullPolicy, PullPolicy> = {
  always: PullPolicy.ALWAYS,
  'if-not-present': PullPolicy.IF_NOT_PRESENT,
};

/** Takes a spec off the wire; nothing of it is checked here, `parseSpec` does that. */
export function fromWireSpec(spec: WireSpec | undefined): RawSpec {
  const wire = spec ?? create(DeploymentSpecSchema);
  const { limits, port, replicas } = wire;
  return {
    source: fromSource(wire.source),
    replicas,
    port,
    environment: wire.environment.map(({ name, value }) => ({ name, value })),
    healthCheck: wire.healthCheck && fromHealthCheck(wire.healthCheck),
    cpuCores: limits?.cpuCores,
    memoryBytes: limits?.memoryBytes === undefined ? undefined : Number(limits.memoryBytes),
    restartPolicy: FROM_RESTART_POLICY[wire.restartPolicy],
    command: wire.command,
    volumes: wire.volumes.map(({ volume, path, readOnly }) => ({ volume, path, readOnly })),
    rollout: fromWireRollout(wire.rollout),
    placement: fromWirePlacement(wire.placement),
  };
}

function fromSource(source: WireSpec['source']): Source<VariableInput> | undefined {
  if (source.case === 'image') return fromImage(source.value);
  if (source.case === 'dockerfile') return fromDockerfile(source.value);
  if (source.case === 'git') return fromGit(source.value);
  if (source.case === 'static') {
    const { contextSha256, folder } = source.value;
    return { kind: 'static', contextSha256, folder };
  }
  if (source.case === 'nixpacks') {
    const { contextSha256, args } = source.value;
    return { kind: 'nixpacks', contextSha256, ...fromBuild({ target: '', args }) };
  }
  return undefined;
}

function fromImage({ reference, pullPolicy: wire }: ImageSource): Source<VariableInput> {
  const pullPolicy = FROM_PULL_POLICY[wire];
  return { kind: 'image', reference, ...(pullPolicy === undefined ? {} : { pullPolicy }) };
}

function fromDockerfile({ contextSha256, dockerfilePath, ...build }: DockerfileSource): Source<VariableInput> {
  return { kind: 'dockerfile', contextSha256, dockerfilePath, ...fromBuild(build) };
}

/** A commit that a caller repeats from an answer says nothing: `ref` does. */
function fromGit({ url, ref, subdirectory, submodules, ...build }: GitSource): Source<VariableInput> {
  const { dockerfilePath, composePath } = build;
  const builder = fromWireBuilder(build.builder);
  return {
    ...{ kind: 'git', url, ref, subdirectory, submodules },
    ...(dockerfilePath === '' ? {} : { dockerfilePath }),
    ...(composePath === undefined ? {} : { composePath }),
    ...(builder === undefined ? {} : { builder }),
    ...fromBuild(build),
  };
}

function fromBuild({ target, args }: Pick<DockerfileSource, 'target' | 'args'>) {
  return {
    ...(target === '' ? {} : { target }),
    ...(args.length === 0 ? {} : { args: args.map(({ name, value }) => ({ name, value })) }),
  };
}

type WireHealthCheck = NonNullable<WireSpec['healthCheck']>;

function fromHealthCheck(check: WireHealthCheck): RawHealthCheck {
  return {
    probe: fromProbe(check.kind),
    intervalMs: check.interval && durationMs(check.interval),
    timeoutMs: check.timeout && durationMs(check.timeout),
    retries: check.retries,
    startPeriodMs: check.startPeriod && durationMs(check.startPeriod),
  };
}

function fromProbe(kind: WireHealthCheck['kind']): HealthProbe | undefined {
  switch (kind.case) {
    case 'automatic':
      return { kind: 'automatic' };
    case 'http':
      return { kind: 'http', path: kind.value.path, expectedStatus: kind.value.expectedStatus ?? null };
    case 'command':
      return { kind: 'command', command: kind.value.command };
    case 'none':
      return { kind: 'none' };
    default:
      return undefined;
  }
}

/** Puts a spec on the wire: variables by name and fingerprint only. `commit` is what its Git source stands for. */
export function toWireSpec(spec: DeploymentSpec, commit = ''): MessageInitShape<typeof DeploymentSpecSchema> {
  const placement = toWirePlacement(spec.placement);
  const whole = { rollout: toWireRollout(spec.rollout), ...(placement ? { placement } : {}) };
  if (!isCompose(spec)) {
    return { source: toOnlySource(spec.source, commit), ...toParts(spec), ...whole };
  }
  const services = spec.services.map((service) => {
    return { name: service.name, source: toSource(service.source), ...toParts(service), needs: [...service.needs] };
  });
  const { origin } = spec;
  const from = origin ? { git: toOrigin(origin, commit) } : {};
  return {
    source: { case: 'compose', value: { services, warnings: [...spec.warnings], ...from } },
    environment: (origin?.variables ?? []).map(toVariable),
    ...whole,
  };
}

function toOrigin({ url, ref, subdirectory, submodules, composePath }: ComposeOrigin, commit: string) {
  return { url, ref, subdirectory, submodules, commit, ...(composePath === undefined ? {} : { composePath }) };
}

function toParts(parts: ServiceParts) {
  return {
    replicas: parts.replicas,
    ...(parts.port === null ? {} : { port: parts.port }),
    environment: parts.environment.map(toVariable),
    healthCheck: toHealthCheck(parts),
    limits: { cpuCores: parts.limits.cpuCores, memoryBytes: BigInt(parts.limits.memoryBytes) },
    restartPolicy: TO_RESTART_POLICY[parts.restartPolicy],
    command: [...parts.command],
    volumes: (parts.volumes ?? []).map(({ volume, path, readOnly }) => ({ volume, path, readOnly })),
  };
}

function toVariable({ name, fingerprint }: SealedVariable) {
  return { name, fingerprint };
}

type WireSource = NonNullable<MessageInitShape<typeof DeploymentSpecSchema>['source']>;

function toOnlySource(source: Source, commit: string): WireSource {
  if (source.kind === 'git') return { case: 'git', value: toGit(source, commit) };
  if (source.kind === 'nixpacks') {
    const { contextSha256, args = [] } = source;
    return { case: 'nixpacks', value: { contextSha256, args: args.map(toVariable) } };
  }
  if (source.kind !== 'static') return toSource(source);
  const { contextSha256, folder } = source;
  return { case: 'static', value: { contextSha256, folder } };
}

function toGit(source: DomainGitSource, commit: string): MessageInitShape<typeof GitSourceSchema> {
  const { url, ref, subdirectory, submodules, dockerfilePath = '', target = '', args = [] } = source;
  const builder = toWireBuilder(source.builder);
  return { url, ref, subdirectory, submodules, dockerfilePath, target, args: args.map(toVariable), commit, builder };
}

/** Services of a Compose file are made of images and Dockerfiles only; those of a repository name their commit. */
function toSource(source: Source): NonNullable<MessageInitShape<typeof ComposeServiceSchema>['source']> {
  if (source.kind === 'static') throw new Error('a service of a compose file is a page');
  if (source.kind === 'nixpacks') throw new Error('a service of a compose file is built by nixpacks');
  if (source.kind === 'git') return { case: 'git', value: toGit(source, source.ref) };
  if (source.kind === 'dockerfile') {
    const { contextSha256, dockerfilePath, target = '', args = [] } = source;
    return { case: 'dockerfile', value: { contextSha256, dockerfilePath, target, args: args.map(toVariable) } };
  }
  const { reference, pullPolicy } = source;
  const policy = pullPolicy === undefined ? PullPolicy.UNSPECIFIED : TO_PULL_POLICY[pullPolicy];
  return { case: 'image', value: { reference, pullPolicy: policy } };
}

function toHealthCheck({ healthCheck: check }: ServiceParts): MessageInitShape<typeof HealthCheckSchema> {
  return {
    kind: toProbe(check.probe),
    interval: durationFromMs(check.intervalMs),
    timeout: durationFromMs(check.timeoutMs),
    retries: check.retries,
    startPeriod: durationFromMs(check.startPeriodMs),
  };
}

function toProbe(probe: HealthProbe): NonNullable<MessageInitShape<typeof HealthCheckSchema>['kind']> {
  switch (probe.kind) {
    case 'automatic':
      return { case: 'automatic', value: {} };
    case 'none':
      return { case: 'none', value: {} };
    case 'command':
      return { case: 'command', value: { command: [...probe.command] } };
    case 'http':
      return { case: 'http', value: { path: probe.path, ...statusOf(probe.expectedStatus) } };
  }
}

function statusOf(expectedStatus: number | null): { expectedStatus?: number } {
  return expectedStatus === null ? {} : { expectedStatus };
}
