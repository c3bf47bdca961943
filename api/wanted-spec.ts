import { renewBuildContext } from '../adapters/postgres/build-contexts.ts';
import type { Database } from '../adapters/postgres/database.ts';
import { listNodes, type NodeRecord } from '../adapters/postgres/nodes.ts';
import type { Sealing } from '../adapters/sealing/sealing.ts';
import type { DeployRequest } from '../contracts/deployment.ts';
import { DomainError, invalidArgument } from '../domain/errors.ts';
import type { RegistryRules } from '../domain/image-reference.ts';
import { describeBytes, describeCores } from '../domain/placement/refusal.ts';
import type { ResourceLimits, SealedVariable, Source, SpecInput, VariableInput } from '../domain/spec.ts';
import { parseSpec } from '../domain/spec-parse.ts';
import type { DeploymentSpec as WireSpec } from '../gen/obiente/cloud/v1/spec_pb.ts';
import { fromWireSpec } from './wire/spec.ts';

/** What making a spec out of a request needs. */
export interface WantedSpecDeps {
  readonly db: Database;
  readonly sealing: Sealing;
  readonly registries: RegistryRules;
}

/** Nodes that one capacity check looks at: as many as a cluster of this platform has. */
const MAX_NODES = 1000;

/** Nodes that a refusal names. */
const NAMED_NODES = 5;

/** Parses a spec off the wire. @throws INVALID_ARGUMENT */
export function readSpec(deps: WantedSpecDeps, spec: WireSpec | undefined): SpecInput {
  return parseSpec(fromWireSpec(spec), deps.registries);
}

/**
 * A spec as a request's hash covers it: values of variables by a keyed hash, so that the hash tells two values apart
 * and nobody can find one out from it.
 */
export async function toHashable(deps: WantedSpecDeps, organizationId: string, spec: SpecInput): Promise<unknown> {
  return { ...spec, environment: await hashableVariables(deps.sealing, organizationId, spec.environment) };
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
 * Makes a spec storable: variables sealed, those without a value taken from `kept`, and checks what only the database
 * knows.
 *
 * @throws INVALID_ARGUMENT for a variable without a value and a context that the organization has not uploaded;
 *   INSUFFICIENT_CAPACITY when one replica is larger than every node.
 */
export async function toStoredSpec(
  deps: WantedSpecDeps,
  { organizationId, spec, kept }: { organizationId: string; spec: SpecInput; kept: readonly SealedVariable[] },
): Promise<DeployRequest['spec']> {
  await checkSource(deps.db, organizationId, spec.source);
  await checkCapacity(deps.db, spec.limits);
  const known = new Map(kept.map((variable) => [variable.name, variable]));
  const environment = await Promise.all(
    spec.environment.map(async ({ name, value }, index) => {
      if (value !== undefined) return await sealVariable(deps.sealing, { organizationId, name, value });
      const variable = known.get(name);
      if (variable) return variable;
      const field = `spec.environment[${index}].value`;
      throw invalidArgument(field, `${name} has no value to keep`, 'a value for every new variable');
    }),
  );
  return { ...spec, environment };
}

/** Seals a variable's value for its organization. */
export async function sealVariable(
  sealing: Sealing,
  variable: { organizationId: string; name: string; value: string },
): Promise<SealedVariable> {
  const [sealed, fingerprint] = await Promise.all([sealing.seal(variable), sealing.fingerprint(variable)]);
  return { name: variable.name, sealed, fingerprint };
}

/** Whether the organization has what is to be built. @throws INVALID_ARGUMENT */
export async function checkSource(db: Database, organizationId: string, source: Source): Promise<void> {
  if (source.kind !== 'dockerfile') return;
  if (await renewBuildContext(db, { organizationId, sha256: source.contextSha256 })) return;
  const finding = 'no such context in this organization';
  throw invalidArgument('spec.dockerfile.context_sha256', finding, 'a context that UploadContext has stored');
}

/** Whether it fits beside the others is the placement's to say; here only that it could on an empty node. */
export async function checkCapacity(db: Database, { cpuCores, memoryBytes }: ResourceLimits): Promise<void> {
  const nodes = await listNodes(db, { limit: MAX_NODES });
  const spacious = nodes.filter((node) => node.memoryBytes >= memoryBytes);
  if (nodes.length === 0 || spacious.some((node) => node.cpuCores >= cpuCores)) return;
  const [field, hint] =
    spacious.length === 0
      ? ['spec.limits.memory_bytes', 'Lower the memory limit or add a larger node.']
      : ['spec.limits.cpu_cores', 'Lower the CPU limit or add a larger node.'];
  const wanted = `${describeCores(cpuCores)} and ${describeBytes(memoryBytes)}`;
  const free = nodes.slice(0, NAMED_NODES).map(freeOf).join(', ');
  const message = `${field}: one replica wants ${wanted}, more than any node has: ${free}`;
  throw new DomainError('INSUFFICIENT_CAPACITY', message, { field, hint });
}

function freeOf({ nodeId, cpuCores, memoryBytes, reservedMemoryBytes }: NodeRecord): string {
  const free = describeBytes(memoryBytes - reservedMemoryBytes);
  return `${nodeId} has ${describeCores(cpuCores)} and ${free} free of ${describeBytes(memoryBytes)}`;
}
