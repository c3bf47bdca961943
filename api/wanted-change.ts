import type { FieldMask } from '@bufbuild/protobuf/wkt';
import { invalidArgument } from '../domain/errors.ts';
import { ONLY_SERVICE, type SpecInput, type VariableInput } from '../domain/spec.ts';
import type { ReplaceableSpec, SpecChange } from '../domain/spec-change.ts';
import { parseEnvironment, parseSpecParts, type SpecPart } from '../domain/spec-parse.ts';
import type { UpdateDeploymentRequest } from '../gen/obiente/cloud/v1/deployments_pb.ts';
import { checkCapacity, checkSource } from './possible-spec.ts';
import type { DeploymentPlace } from './secret-places.ts';
import { hashableSource, hashableVariables, sealSource, sealVariable, type WantedSpecDeps } from './wanted-spec.ts';
import { fromWireSpec } from './wire/spec.ts';

/** A change as it came in, parsed, its values not sealed yet. */
export interface ChangeInput {
  /** `null`: the only one. */
  readonly service: string | null;
  readonly replace: Partial<Omit<SpecInput, 'environment'>>;
  readonly setVariables: readonly VariableInput[];
  readonly unsetVariables: readonly string[];
}

/** Paths of a mask by the part of the spec that they name. */
const PARTS: Readonly<Record<string, SpecPart>> = {
  source: 'source',
  image: 'source',
  dockerfile: 'source',
  git: 'source',
  static: 'source',
  replicas: 'replicas',
  port: 'port',
  health_check: 'healthCheck',
  limits: 'limits',
  restart_policy: 'restartPolicy',
  command: 'command',
  volumes: 'volumes',
  rollout: 'rollout',
  placement: 'placement',
};

type UpdateRequest = Pick<
  UpdateDeploymentRequest,
  'updateMask' | 'spec' | 'setEnvironment' | 'unsetEnvironment' | 'service'
>;

/** Whether a request changes a part of the spec, rather than replacing it. */
export function isPartial({ updateMask, setEnvironment, unsetEnvironment }: Omit<UpdateRequest, 'service'>): boolean {
  return (updateMask?.paths.length ?? 0) + setEnvironment.length + unsetEnvironment.length > 0;
}

/** Parses a change off the wire. @throws INVALID_ARGUMENT */
export function readChange(deps: WantedSpecDeps, request: UpdateRequest): ChangeInput {
  const parts = partsOf(request.updateMask);
  const replace = parseSpecParts(fromWireSpec(request.spec), deps, parts);
  if (replace.source?.kind === 'git' && replace.source.composePath !== undefined) {
    throw invalidArgument('spec.git.compose_path', 'is set in a change of parts', 'a whole spec, without update_mask');
  }
  if (replace.replicas === null)
    throw invalidArgument('spec.replicas', 'is named by the mask and not set', '0 to 10000');
  const variables = request.setEnvironment.map(({ name, value }) => ({ name, value }));
  const valueless = variables.findIndex(({ value }) => value === undefined);
  if (valueless >= 0) throw invalidArgument(`set_environment[${valueless}].value`, 'is not set', 'a value');
  const setVariables = parseEnvironment('set_environment', variables);
  const both = setVariables.find(({ name }) => request.unsetEnvironment.includes(name));
  if (both) throw invalidArgument('unset_environment', `${both.name} is set as well`, 'one of the two');
  const unsetVariables = [...new Set(request.unsetEnvironment)].sort();
  return { service: request.service || null, replace, setVariables, unsetVariables };
}

function partsOf(mask: FieldMask | undefined): SpecPart[] {
  const parts = (mask?.paths ?? []).map((path) => {
    const part = Object.hasOwn(PARTS, path) ? PARTS[path] : undefined;
    if (part) return part;
    const allowed = `${Object.keys(PARTS).join(', ')}; variables have set_environment and unset_environment`;
    throw invalidArgument('update_mask', `found ${JSON.stringify(path.slice(0, 80))}`, allowed);
  });
  return [...new Set(parts)].sort();
}

/** A change as a request's hash covers it. */
export async function toHashableChange(deps: WantedSpecDeps, organizationId: string, change: ChangeInput) {
  const { sealing } = deps;
  const { source } = change.replace;
  return {
    ...change,
    replace: source
      ? { ...change.replace, source: await hashableSource(sealing, organizationId, source) }
      : change.replace,
    setVariables: await hashableVariables(sealing, organizationId, change.setVariables),
  };
}

/** Makes a change storable. @throws INVALID_ARGUMENT, INSUFFICIENT_CAPACITY */
export async function toStoredChange(
  deps: WantedSpecDeps,
  deployment: DeploymentPlace,
  { service, replace, setVariables, unsetVariables }: ChangeInput,
): Promise<SpecChange> {
  const place = { ...deployment, service: service ?? ONLY_SERVICE };
  const { source: wanted, ...others } = replace;
  const field = `spec.${wanted?.kind}.args`;
  const source = wanted && (await sealSource(deps.sealing, wanted, { place, kept: [], field }));
  if (wanted) await checkSource(deps.db, deployment.organizationId, wanted);
  if (replace.limits) await checkCapacity(deps.db, replace.limits);
  const sealed = await Promise.all(
    setVariables.map(({ name, value = '' }) =>
      sealVariable(deps.sealing, { ...place, isBuildArgument: false }, { name, value }),
    ),
  );
  const parts = { ...others, ...(source ? { source } : {}) } as Partial<ReplaceableSpec>;
  return { service, replace: parts, setVariables: sealed, unsetVariables };
}
