import { invalidArgument } from './errors.ts';
import type { DeploymentSpec, SealedVariable } from './spec.ts';

/** What a change may replace as a whole. Variables have words of their own, so that two people can change one each. */
export type ReplaceableSpec = Omit<DeploymentSpec, 'environment'>;

/** A part of a spec that is changed; what it does not name stays as it is in the newest revision. */
export interface SpecChange {
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
 * @throws INVALID_ARGUMENT for a variable that is not there, and for a spec whose parts do not fit together.
 */
export function applyChange(spec: DeploymentSpec, change: SpecChange): DeploymentSpec {
  const known = new Set(spec.environment.map(({ name }) => name));
  const unknown = change.unsetVariables.find((name) => !known.has(name));
  if (unknown !== undefined) {
    throw invalidArgument('unset_environment', `there is no variable ${unknown}`, 'a variable of the newest revision');
  }
  const replaced = new Set([...change.unsetVariables, ...change.setVariables.map(({ name }) => name)]);
  const kept = spec.environment.filter(({ name }) => !replaced.has(name));
  const changed: DeploymentSpec = { ...spec, ...change.replace, environment: [...kept, ...change.setVariables] };
  checkParts(changed);
  return changed;
}

/** What no part says by itself. @throws INVALID_ARGUMENT */
export function checkParts({
  healthCheck,
  port,
  rollout,
}: Pick<DeploymentSpec, 'healthCheck' | 'port' | 'rollout'>): void {
  if (healthCheck.probe.kind === 'http' && port === null) {
    throw invalidArgument('spec.health_check.http', 'the spec has no port', 'an HTTP check of a spec with a port');
  }
  if (rollout.strategy === 'canary' && port === null) {
    throw invalidArgument('spec.rollout.canary', 'the spec has no port', 'a canary of a spec with a port');
  }
}
