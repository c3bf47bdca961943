import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type Duration, DurationSchema } from '@bufbuild/protobuf/wkt';
import {
  type DeploymentSpec,
  DeploymentSpecSchema,
  type EnvironmentVariableSchema,
  type HealthCheck,
  HealthCheckSchema,
  PullPolicy,
  RestartPolicy,
} from '../gen/obiente/cloud/v1/spec_pb.ts';
import type { AppHealth } from './app-file.ts';
import type { Pull, Wishes } from './deploy-options.ts';

/** Where the new revision's image comes from. */
export type WantedSource =
  | { readonly kind: 'image'; readonly reference: string }
  | { readonly kind: 'context'; readonly sha256: string; readonly dockerfile: string };

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
  const spec = create(DeploymentSpecSchema, {
    ...(present === undefined ? {} : keptOf(present)),
    source: toSource(source, pullPolicyOf(present, wishes)),
    environment: environmentOf(present, wishes),
  });
  if (wishes.replicas !== undefined) spec.replicas = wishes.replicas;
  if (wishes.port === null) delete spec.port;
  else if (wishes.port !== undefined) spec.port = wishes.port;
  if (wishes.health !== undefined) spec.healthCheck = toHealthCheck(wishes.health);
  if (wishes.restart !== undefined) spec.restartPolicy = RESTART[wishes.restart];
  if (wishes.command !== undefined) spec.command = [...wishes.command];
  const { cpuCores, memoryBytes } = wishes;
  if (cpuCores !== undefined || memoryBytes !== undefined) {
    spec.limits = {
      $typeName: 'obiente.cloud.v1.ResourceLimits',
      ...present?.limits,
      ...(cpuCores === undefined ? {} : { cpuCores }),
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
    };
  }
  return spec;
}

function keptOf({ replicas, port, healthCheck, limits, restartPolicy, command }: DeploymentSpec) {
  return {
    ...(replicas === undefined ? {} : { replicas }),
    ...(port === undefined ? {} : { port }),
    ...(healthCheck === undefined ? {} : { healthCheck }),
    ...(limits === undefined ? {} : { limits }),
    restartPolicy,
    command,
  };
}

function pullPolicyOf(present: DeploymentSpec | undefined, { pull }: Wishes): PullPolicy {
  if (pull !== undefined) return PULL[pull];
  return present?.source.case === 'image' ? present.source.value.pullPolicy : PullPolicy.UNSPECIFIED;
}

function toSource(
  source: WantedSource,
  pullPolicy: PullPolicy,
): NonNullable<MessageInitShape<typeof DeploymentSpecSchema>['source']> {
  if (source.kind === 'image') return { case: 'image', value: { reference: source.reference, pullPolicy } };
  return { case: 'dockerfile', value: { contextSha256: source.sha256, dockerfilePath: source.dockerfile } };
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

function toHealthCheck(health: AppHealth): HealthCheck {
  if (health === 'none') return create(HealthCheckSchema, { kind: { case: 'none', value: {} } });
  if (health === 'automatic') return create(HealthCheckSchema, { kind: { case: 'automatic', value: {} } });
  const { interval, timeout, retries, startPeriod } = health;
  return create(HealthCheckSchema, {
    kind: toKind(health),
    ...(interval === undefined ? {} : { interval: toDuration(interval) }),
    ...(timeout === undefined ? {} : { timeout: toDuration(timeout) }),
    ...(retries === undefined ? {} : { retries }),
    ...(startPeriod === undefined ? {} : { startPeriod: toDuration(startPeriod) }),
  });
}

function toKind(health: Exclude<AppHealth, string>): NonNullable<MessageInitShape<typeof HealthCheckSchema>['kind']> {
  if ('command' in health) return { case: 'command', value: { command: health.command } };
  if (!('path' in health)) return { case: 'automatic', value: {} };
  const expectedStatus = health.status === undefined ? {} : { expectedStatus: health.status };
  return { case: 'http', value: { path: health.path, ...expectedStatus } };
}

function toDuration(ms: number): Duration {
  return create(DurationSchema, { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 });
}
