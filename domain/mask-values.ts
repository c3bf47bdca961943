/** Shorter values are left: they say little, and blanking every `1` would leave nothing to read. */
const SHORTEST_MASKED = 4;

/**
 * Blanks the values of variables wherever they stand in a text, so that what an application printed may be shown.
 *
 * Longest first, since one value may hold another. The lines of a value of several lines are blanked one by one too,
 * as a log carries them apart.
 */
export function maskValues(text: string, values: Iterable<string>): string {
  return createMask(values)(text);
}

/** The same for many texts: what there is to prepare is done once. */
export function createMask(values: Iterable<string>): (text: string) => string {
  const parts = [...values].flatMap((value) => [value, ...value.split(/\r?\n/)]);
  const masked = [...new Set(parts)].filter((part) => part.length >= SHORTEST_MASKED);
  masked.sort((a, b) => b.length - a.length);
  return (text) => masked.reduce((blanked, part) => blanked.replaceAll(part, '***'), text);
}
