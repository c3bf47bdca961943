import { invalidArgument } from './errors.ts';
import type { RolloutPolicy } from './rollout-policy.ts';
import {
  type ComposeSpec,
  type DeploymentSpec,
  isCompose,
  ONLY_SERVICE,
  type SealedVariable,
  type ServiceParts,
  type ServiceSpec,
  type SingleSpec,
} from './spec.ts';

/** What a change may replace as a whole. Variables have words of their own, so that two people can change one each. */
export type ReplaceableSpec = Omit<SingleSpec, 'environment'>;

/** A part of a spec that is changed; what it does not name stays as it is in the newest revision. */
export interface SpecChange {
  /** Which service; `null` means the only one. */
  readonly service: string | null;
  /** Each complete and valid by itself. */
  readonly replace: Partial<ReplaceableSpec>;
  /** Variables that get this value, new ones included. */
  readonly setVariables: readonly SealedVariable[];
  /** Names of variables that go; one that is not there is refused. */
  readonly unsetVariables: readonly string[];
}

/**
 * Applies a change to the newest spec.
 *
 * Called where the revision is stored, with the newest one locked, so changes made at the same time, or during a build,
 * are all kept.
 *
 * @throws INVALID_ARGUMENT for a service or a variable that is not there, and for parts that do not fit together.
 */
export function applyChange(spec: DeploymentSpec, change: SpecChange): DeploymentSpec {
  const { rollout = spec.rollout, placement = spec.placement, ...replace } = change.replace;
  const whole = { rollout, ...(placement ? { placement } : {}) };
  const changed = isCompose(spec)
    ? { ...spec, ...whole, services: inServices(spec.services, { ...change, replace }) }
    : { ...changeParts(checkOnly(spec, change), { ...change, replace }), ...whole };
  if (isCompose(changed)) checkCompose(changed);
  else checkParts(changed);
  return changed;
}

function checkOnly(spec: SingleSpec, { service }: SpecChange): SingleSpec {
  if (service === null || service === ONLY_SERVICE) return spec;
  throw invalidArgument('service', `found ${JSON.stringify(service)}`, `${ONLY_SERVICE}, or nothing`);
}

function inServices(services: readonly ServiceSpec[], change: SpecChange): readonly ServiceSpec[] {
  const { setVariables, unsetVariables, replace } = change;
  const isAboutService = setVariables.length + unsetVariables.length + Object.keys(replace).length > 0;
  if (change.service === null && !isAboutService) return services;
  const names = services.map(({ name }) => name);
  if (change.service === null) throw invalidArgument('service', 'is not set', `one of ${names.join(', ')}`);
  if (!names.includes(change.service)) {
    throw invalidArgument('service', `found ${JSON.stringify(change.service)}`, `one of ${names.join(', ')}`);
  }
  return services.map((service) => (service.name === change.service ? changeParts(service, change) : service));
}

function changeParts<Parts extends ServiceParts>(parts: Parts, change: SpecChange): Parts {
  const known = new Set(parts.environment.map(({ name }) => name));
  const unknown = change.unsetVariables.find((name) => !known.has(name));
  if (unknown !== undefined) {
    throw invalidArgument('unset_environment', `there is no variable ${unknown}`, 'a variable of the newest revision');
  }
  const replaced = new Set([...change.unsetVariables, ...change.setVariables.map(({ name }) => name)]);
  const kept = parts.environment.filter(({ name }) => !replaced.has(name));
  return { ...parts, ...change.replace, environment: [...kept, ...change.setVariables] };
}

/** What no part says by itself. @throws INVALID_ARGUMENT */
export function checkParts({
  healthCheck,
  port,
  rollout,
}: Pick<SingleSpec, 'healthCheck' | 'port'> & { readonly rollout?: RolloutPolicy }): void {
  if (healthCheck.probe.kind === 'http' && port === null) {
    throw invalidArgument('spec.health_check.http', 'the spec has no port', 'an HTTP check of a spec with a port');
  }
  if (rollout?.strategy === 'canary' && port === null) {
    throw invalidArgument('spec.rollout.canary', 'the spec has no port', 'a canary of a spec with a port');
  }
}

/** What no service says by itself. @throws INVALID_ARGUMENT */
export function checkCompose({
  services,
  rollout,
  placement,
}: Pick<ComposeSpec, 'rollout' | 'placement'> & {
  services: readonly Pick<ServiceSpec, 'healthCheck' | 'port'>[];
}): void {
  for (const service of services) checkParts(service);
  if (placement && placement.maxReplicasPerNode !== null) {
    const finding = 'the spec has several services, and all of them run on one node';
    throw invalidArgument('spec.placement.max_replicas_per_node', finding, 'a spec of one service');
  }
  if (rollout.strategy !== 'canary') return;
  throw invalidArgument(
    'spec.rollout.canary',
    'the spec has several services, and a share of the requests to one says nothing of the others',
    'rolling, recreate or blue_green',
  );
}
