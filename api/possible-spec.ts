import { renewBuildContext } from '../adapters/postgres/build-contexts.ts';
import type { Database } from '../adapters/postgres/database.ts';
import { listNodes, type NodeRecord } from '../adapters/postgres/nodes.ts';
import { DomainError, invalidArgument } from '../domain/errors.ts';
import { nobodyHasNixpacks } from '../domain/nixpacks.ts';
import { describeBytes, describeCores } from '../domain/quantities.ts';
import { needsNixpacks, type ResourceLimits, type Source, type VariableInput } from '../domain/spec.ts';

/** Nodes that one capacity check looks at: as many as a cluster of this platform has. */
const MAX_NODES = 1000;

/** Nodes that a refusal names. */
const NAMED_NODES = 5;

/** Whether the organization has what is to be built, and a node what builds it. @throws INVALID_ARGUMENT, SOURCE_REFUSED */
export async function checkSource(db: Database, organizationId: string, source: Source<VariableInput>): Promise<void> {
  if (needsNixpacks(source)) await checkNixpacks(db);
  if (source.kind === 'image' || source.kind === 'git') return;
  if (await renewBuildContext(db, { organizationId, sha256: source.contextSha256 })) return;
  const finding = 'no such context in this organization';
  throw invalidArgument(`spec.${source.kind}.context_sha256`, finding, 'a context that UploadContext has stored');
}

/** A cluster without a node is one that is being set up: what comes up may have it. */
async function checkNixpacks(db: Database): Promise<void> {
  const nodes = await listNodes(db, { limit: MAX_NODES });
  if (nodes.length > 0 && nodes.every(({ nixpacksVersion }) => nixpacksVersion === '')) {
    throw nobodyHasNixpacks('this source');
  }
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
