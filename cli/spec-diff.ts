/** One setting that two specs have differently; `undefined` where it is not set. */
export interface SpecChange {
  /** Names from the root, `limits.cpuCores`; of what has a name by that, other places of lists as numbers. */
  readonly path: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** Lists what differs between two JSON values, leaf by leaf, by path. */
export function diffSpecs(before: unknown, after: unknown): SpecChange[] {
  const [was, is] = [new Map(leaves(before)), new Map(leaves(after))];
  return [...new Set([...was.keys(), ...is.keys()])]
    .filter((path) => JSON.stringify(was.get(path)) !== JSON.stringify(is.get(path)))
    .sort()
    .map((path) => ({ path, before: was.get(path), after: is.get(path) }));
}

function* leaves(value: unknown, path: readonly string[] = []): Generator<[string, unknown]> {
  if (typeof value !== 'object' || value === null) {
    yield [path.join('.'), value];
    return;
  }
  for (const [key, inner] of Object.entries(value)) {
    const name = Array.isArray(value) ? nameIn(inner) : undefined;
    yield* leaves(inner, [...path, name ?? key]);
  }
}

function nameIn(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('name' in value)) return undefined;
  return typeof value.name === 'string' && value.name !== '' ? value.name : undefined;
}
