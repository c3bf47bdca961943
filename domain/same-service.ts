import { isCommitId } from './git-source.ts';
import { asksRegistry } from './image-access.ts';
import { argumentsOf, type ImageSource, type SealedVariable, type ServiceSpec, type Source } from './spec.ts';

/** A service of a revision, and the digest that it is pinned to; `null` while it is not. */
export interface PinnedService {
  readonly service: ServiceSpec;
  readonly digest: string | null;
}

/**
 * Whether replicas of `running` are exactly what `wanted` asks for, so that they can stay.
 *
 * Their number does not count, nor what has to be there before they start. A tag or a branch that may have moved is
 * another image until it has been looked up; a digest decides where both have one.
 */
export function isSameService(running: PinnedService, wanted: PinnedService): boolean {
  if (fingerprintOf(running.service) !== fingerprintOf(wanted.service)) return false;
  if (running.digest === null) return false;
  if (wanted.digest !== null) return running.digest === wanted.digest;
  const { source } = wanted.service;
  if (source.kind === 'git') return isCommitId(source.ref);
  return source.kind !== 'image' || !mayHaveMoved(source);
}

/** References have a tag or a digest, see `parseImageReference`. */
function mayHaveMoved({ reference, pullPolicy: policy }: ImageSource): boolean {
  const [named = '', digest = null] = reference.split('@');
  return asksRegistry({ policy, tag: named.slice(named.lastIndexOf(':') + 1), digest });
}

function fingerprintOf({
  name,
  source,
  environment,
  port,
  healthCheck,
  limits,
  restartPolicy,
  command,
  container,
  volumes = [],
}: ServiceSpec): string {
  const args = toComparable(argumentsOf(source));
  return JSON.stringify(
    sorted({
      ...{ name, port, healthCheck, limits, restartPolicy, command, container, volumes },
      source: { ...toComparableSource(source), args },
      environment: toComparable(environment),
    }),
  );
}

/** What is known to be built from the same files is the same, of whichever commit they are. */
function toComparableSource(source: Source): object {
  if (source.kind !== 'git' || source.filesSha256 === undefined) return source;
  const { ref: _, ...files } = source;
  return files;
}

/** Sealing the same value twice gives two texts; its fingerprint is the same. */
function toComparable(variables: readonly SealedVariable[]): readonly string[][] {
  return variables.map(({ name, fingerprint }) => [name, fingerprint]).sort();
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, inner]) => [name, sorted(inner)]);
}
