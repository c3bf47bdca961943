import { randomUUID } from 'node:crypto';
import type { Database } from '../adapters/postgres/database.ts';
import type { Sealing } from '../adapters/sealing/sealing.ts';
import type { DeployRequest } from '../contracts/deployment.ts';
import { originOf } from '../domain/compose-origin.ts';
import { invalidArgument } from '../domain/errors.ts';
import {
  argumentsOf,
  type ComposeInput,
  type DeploymentSpec,
  isCompose,
  ONLY_SERVICE,
  type SealedVariable,
  type ServiceParts,
  type Source,
  type SpecInput,
  servicesOf,
  type VariableInput,
} from '../domain/spec.ts';
import { parseSpec, type SourceRules } from '../domain/spec-parse.ts';
import type { DeploymentSpec as WireSpec } from '../gen/obiente/cloud/v1/spec_pb.ts';
import { checkCapacity, checkSource } from './possible-spec.ts';
import { type DeploymentPlace, type ServicePlace, type VariablesPlace, variablePlace } from './secret-places.ts';
import { checkBesideFile, readCompose } from './wanted-compose.ts';
import { fromWireSpec } from './wire/spec.ts';

/** What making a spec out of a request needs. */
export interface WantedSpecDeps extends SourceRules {
  readonly db: Database;
  readonly sealing: Sealing;
}

/** Parses a spec off the wire. @throws INVALID_ARGUMENT */
export function readSpec(rules: SourceRules, spec: WireSpec | undefined): SpecInput | ComposeInput {
  if (spec?.source.case === 'compose') return readCompose(spec, spec.source.value, rules.registries);
  if (spec?.source.case === 'git' && spec.source.value.composePath !== undefined) checkBesideFile(spec);
  return parseSpec(fromWireSpec(spec), rules);
}

/**
 * A spec as a request's hash covers it: values of variables by a keyed hash, so that the hash tells two values apart
 * and nobody can find one out from it.
 */
export async function toHashable(
  { sealing }: WantedSpecDeps,
  organizationId: string,
  spec: SpecInput | ComposeInput,
): Promise<unknown> {
  const hashable = async ({ environment, source, ...parts }: Pick<SpecInput, 'environment' | 'source'>) => ({
    ...parts,
    source: await hashableSource(sealing, organizationId, source),
    environment: await hashableVariables(sealing, organizationId, environment),
  });
  if (!isCompose(spec)) return await hashable(spec);
  return { ...spec, services: await Promise.all(spec.services.map(hashable)) };
}

/** A source as a request's hash covers it. */
export async function hashableSource(
  sealing: Sealing,
  organizationId: string,
  source: Source<VariableInput>,
): Promise<unknown> {
  if (!('args' in source) || !source.args) return source;
  return { ...source, args: await hashableVariables(sealing, organizationId, source.args) };
}

/** Variables by name and the keyed hash of their value. */
export async function hashableVariables(
  sealing: Sealing,
  organizationId: string,
  variables: readonly VariableInput[],
): Promise<unknown> {
  return await Promise.all(
    variables.map(async ({ name, value }) =>
      value === undefined ? [name] : [name, await sealing.fingerprint({ organizationId, value })],
    ),
  );
}

/**
 * Makes a spec storable: variables sealed, those without a value taken from the same service of `present`, and checks
 * what only the database knows.
 *
 * @throws INVALID_ARGUMENT for a variable without a value and a context that the organization has not uploaded;
 *   INSUFFICIENT_CAPACITY when one replica is larger than every node.
 */
export async function toStoredSpec(
  deps: WantedSpecDeps,
  of: DeploymentPlace & {
    readonly spec: SpecInput | ComposeInput;
    readonly present: DeploymentSpec | null;
  },
): Promise<DeployRequest['spec']> {
  const { spec, present, ...deployment } = of;
  const before = new Map((present ? servicesOf(present) : []).map((service) => [service.name, service]));
  if (!isCompose(spec)) {
    const place = { ...deployment, service: ONLY_SERVICE };
    return await store(deps, spec, { place, present: partsBefore(present) ?? before.get(ONLY_SERVICE), field: 'spec' });
  }
  const services = await Promise.all(
    spec.services.map((service) => {
      const field = `services.${service.name}`;
      const place = { ...deployment, service: service.name };
      return store(deps, service, { place, present: before.get(service.name), field });
    }),
  );
  return { ...spec, services };
}

/** Values for a Compose file from a repository are kept as those of a single image are. */
function partsBefore(present: DeploymentSpec | null): KeptParts | undefined {
  const origin = present ? originOf(present) : undefined;
  return origin && { environment: origin.variables, source: undefined };
}

interface KeptParts extends Pick<ServiceParts, 'environment'> {
  readonly source: Source | undefined;
}

interface StoringParts {
  readonly place: ServicePlace;
  /** What the service is made of so far. */
  readonly present: KeptParts | undefined;
  readonly field: string;
}

async function store<Parts extends Pick<SpecInput, 'source' | 'environment' | 'limits'>>(
  deps: WantedSpecDeps,
  { source, environment, ...parts }: Parts,
  { place, present, field }: StoringParts,
) {
  await checkSource(deps.db, place.organizationId, source);
  await checkCapacity(deps.db, parts.limits);
  const args = present?.source ? argumentsOf(present.source) : [];
  return {
    ...parts,
    source: await sealSource(deps.sealing, source, { place, kept: args, field: `${field}.${source.kind}.args` }),
    environment: await sealVariables(deps.sealing, environment, {
      place: { ...place, isBuildArgument: false },
      ...{ kept: present?.environment ?? [], field: `${field}.environment` },
    }),
  };
}

interface Sealed<Place> {
  readonly place: Place;
  /** What a variable without a value is looked for in. */
  readonly kept: readonly SealedVariable[];
  readonly field: string;
}

/** Seals the build arguments of a source. @throws INVALID_ARGUMENT for one without a value that is not kept either. */
export async function sealSource(
  sealing: Sealing,
  source: Source<VariableInput>,
  { place, ...of }: Sealed<ServicePlace>,
): Promise<Source> {
  if (source.kind === 'image' || source.kind === 'static') return source;
  const { args, ...rest } = source;
  if (args === undefined) return rest;
  return { ...rest, args: await sealVariables(sealing, args, { place: { ...place, isBuildArgument: true }, ...of }) };
}

async function sealVariables(
  sealing: Sealing,
  variables: readonly VariableInput[],
  { place, kept, field }: Sealed<VariablesPlace>,
): Promise<readonly SealedVariable[]> {
  const known = new Map(kept.map((variable) => [variable.name, variable]));
  return await Promise.all(
    variables.map(async ({ name, value }, index) => {
      if (value !== undefined) return await sealVariable(sealing, place, { name, value });
      const variable = known.get(name);
      if (variable) return variable;
      throw invalidArgument(
        `${field}[${index}].value`,
        `${name} has no value to keep`,
        'a value for every new variable',
      );
    }),
  );
}

/** Seals a value for its variable in its place, as a version of its own. */
export async function sealVariable(
  sealing: Sealing,
  place: VariablesPlace,
  { name, value }: { readonly name: string; readonly value: string },
): Promise<SealedVariable> {
  const version = randomUUID();
  const [sealed, fingerprint] = await Promise.all([
    sealing.seal({ ...variablePlace(place, { name }), version, value }),
    sealing.fingerprint({ organizationId: place.organizationId, value }),
  ]);
  return { name, version, sealed, fingerprint };
}
