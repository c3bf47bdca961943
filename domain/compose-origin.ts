import type { NodeConstraint } from './placement/policy.ts';
import {
  type ComposeSpec,
  DEFAULT_HEALTH_CHECK,
  DEFAULT_LIMITS,
  type DeploymentSpec,
  type GitBuilder,
  type GitSource,
  isCompose,
  type SealedVariable,
  type SingleSpec,
} from './spec.ts';
import { applyChange, type SpecChange } from './spec-change.ts';

/** A Git repository whose Compose file says what the services of a revision are: the file of the revision's commit. */
export interface ComposeOrigin extends Pick<GitSource, 'url' | 'ref' | 'subdirectory' | 'submodules'> {
  /** Path of the file within the folder; empty: the first that has one of Compose's own names. Absent: nobody asked for
   * a Compose file, it was what there was. */
  readonly composePath?: string;
  /** Values for the file's variables. */
  readonly variables: readonly SealedVariable[];
  /** What was asked of nodes beside the file. */
  readonly constraints: readonly NodeConstraint[];
  /** What was asked for while the file was not read yet: applied to what it says, in this order. */
  readonly changes?: readonly SpecChange[];
}

/** Where the Compose file of a spec comes from; `undefined` for every other spec. */
export function originOf(spec: DeploymentSpec): ComposeOrigin | undefined {
  return isCompose(spec) ? spec.origin : undefined;
}

/** The repository of a spec that comes from one as a whole. */
export function repositoryOfSpec(spec: DeploymentSpec): ComposeOrigin | GitSource | undefined {
  return originOf(spec) ?? (!isCompose(spec) && spec.source.kind === 'git' ? spec.source : undefined);
}

/** Whether what is in the spec's repository has to be looked at before anything of it can be planned. */
export function isUnread(spec: DeploymentSpec): boolean {
  if (isCompose(spec)) return spec.origin !== undefined && spec.services.length === 0;
  return spec.source.kind === 'git' && spec.source.detect === true;
}

/**
 * A spec that was just asked for, as it is stored: one from Git says whether its repository has to be looked at first.
 *
 * It has to where a Compose file was asked for, and where nothing says how it is built.
 */
export function toStored(spec: SingleSpec): DeploymentSpec {
  const { source } = spec;
  if (source.kind !== 'git') return spec;
  if (source.composePath !== undefined) return unreadFrom(spec, source);
  const { builder, dockerfilePath, target, args } = source;
  const isSaid = [builder, dockerfilePath, target, args].some((one) => one !== undefined);
  return isSaid ? spec : { ...spec, source: { ...source, detect: true } };
}

function unreadFrom(
  spec: SingleSpec,
  { url, ref, subdirectory, submodules, composePath }: GitSource,
): ComposeSpec & { readonly origin: ComposeOrigin } {
  const { rollout, placement, environment: variables } = spec;
  return {
    ...{ services: [], rollout, warnings: [] },
    ...(placement ? { placement } : {}),
    origin: {
      ...{ url, ref, subdirectory, submodules, variables, constraints: placement?.constraints ?? [] },
      ...(composePath === undefined ? {} : { composePath }),
    },
  };
}

/**
 * The same spec with its file still to be read, at whichever commit its ref stands for by now: the file says everything
 * anew. A spec without such a file stays as it is.
 */
export function readAnew(spec: DeploymentSpec): DeploymentSpec {
  if (!isCompose(spec) || !spec.origin) return spec;
  const { changes: _, ...origin } = spec.origin;
  const { constraints } = origin;
  const placement = spec.placement ? { placement: { ...spec.placement, constraints } } : {};
  return { ...spec, ...placement, services: [], warnings: [], origin };
}

/** A change of a spec. What concerns services that are not known yet waits until their file is read. @throws as {@link applyChange} */
export function changeSpec(spec: DeploymentSpec, change: SpecChange): DeploymentSpec {
  if (!isUnread(spec) || !isCompose(spec) || !spec.origin) return applyChange(spec, change);
  const { rollout = spec.rollout, placement = spec.placement, ...replace } = change.replace;
  const constraints = placement?.constraints ?? [];
  const changes = [...(spec.origin.changes ?? []), { ...change, replace }];
  return { ...spec, rollout, ...(placement ? { placement } : {}), origin: { ...spec.origin, constraints, changes } };
}

/**
 * What a spec is once its repository was looked at and holds no Compose file, or none that is to be taken: an image that
 * is built. What nixpacks builds says so from then on, since not every node can.
 */
export function withoutFile(unread: DeploymentSpec, builder?: GitBuilder): DeploymentSpec {
  if (isCompose(unread) || unread.source.kind !== 'git') return unread;
  const { detect: _, ...source } = unread.source;
  return { ...unread, source: builder === undefined ? source : { ...source, builder } };
}

/**
 * What a spec is once its file was read.
 *
 * @throws INVALID_ARGUMENT for a change that was waiting and is about a service or a variable that the file has not.
 */
export function withFile(unread: DeploymentSpec, file: ComposeSpec): ComposeSpec {
  const asked = isCompose(unread) ? unread.origin : unreadOrigin(unread);
  if (!asked) throw new Error('the spec does not come from a repository');
  const { changes = [], ...origin } = asked;
  const spec: DeploymentSpec = { ...file, origin };
  return changes.reduce<ComposeSpec>((changed, change) => applyChange(changed, change) as ComposeSpec, spec);
}

function unreadOrigin(spec: SingleSpec): ComposeOrigin | undefined {
  return spec.source.kind === 'git' ? unreadFrom(spec, spec.source).origin : undefined;
}

/** What was asked for of one image, and a Compose file that was found says in its own words: in words of warnings. */
export function leftOutFor(unread: DeploymentSpec, file: string): readonly string[] {
  if (isCompose(unread)) return [];
  const { port, healthCheck, limits, restartPolicy, command, volumes = [] } = unread;
  const set = {
    port: port !== null,
    health_check: healthCheck.probe.kind !== 'automatic' || differs(healthCheck, DEFAULT_HEALTH_CHECK, HEALTH_TIMES),
    limits: differs(limits, DEFAULT_LIMITS, ['cpuCores', 'memoryBytes']),
    restart_policy: restartPolicy !== 'always',
    command: command.length > 0,
    volumes: volumes.length > 0,
  };
  const names = Object.entries(set).flatMap(([name, isSet]) => (isSet ? [name] : []));
  return names.map((name) => `spec.${name}: left out, since ${file} says it for each of its services`);
}

const HEALTH_TIMES = ['intervalMs', 'timeoutMs', 'retries', 'startPeriodMs'] as const;

function differs<Value>(one: Value, other: Value, keys: readonly (keyof Value)[]): boolean {
  return keys.some((key) => one[key] !== other[key]);
}
