import { SPEC_LIMITS, type VariableInput } from '../spec.ts';
import type { Variables } from './interpolation.ts';
import { isMap, itemsOf, membersOf, type Place, refuse, refuseFound, textOf } from './place.ts';

/** A name with its value, from a map (`NAME: value`) or a list (`- NAME=value`). */
export interface Pair {
  readonly place: Place;
  readonly name: string;
  /** `undefined` where the file gives a name only. */
  readonly value: string | undefined;
}

/** Reads names with values, written as a map or as a list. @throws INVALID_ARGUMENT for other shapes. */
export function pairsOf(place: Place): readonly Pair[] {
  if (isMap(place.value)) {
    return membersOf(place).map(([name, member]) => ({ place: member, name, value: scalarOf(member) }));
  }
  if (!Array.isArray(place.value)) throw refuseFound(place, 'a map of names and values, or a list of NAME=value');
  return itemsOf(place).map((item) => {
    const text = textOf(item, 'a text such as NAME=value');
    const equals = text.indexOf('=');
    if (equals < 0) return { place: item, name: text, value: undefined };
    return { place: item, name: text.slice(0, equals), value: text.slice(equals + 1) };
  });
}

/**
 * Reads environment variables. One without a value takes the caller's; where there is none it stays open.
 *
 * @throws INVALID_ARGUMENT as a spec's environment does. Values never appear.
 */
export function environmentOf(place: Place, variables: Variables): readonly VariableInput[] {
  const pairs = pairsOf(place);
  const finding = `${pairs.length} variables`;
  if (pairs.length > SPEC_LIMITS.variables) throw refuse(place, finding, `at most ${SPEC_LIMITS.variables}`);
  const seen = new Set<string>();
  let bytes = 0;
  const environment = pairs.map(({ place: at, name, value: own }): VariableInput => {
    checkName(at, name, seen);
    seen.add(name);
    const value = own ?? (Object.hasOwn(variables, name) ? variables[name] : undefined);
    const size = byteLength(value ?? '');
    if (value?.includes('\0')) throw refuse(at, 'holds a NUL character', 'any other character');
    if (size > SPEC_LIMITS.variableBytes)
      throw refuse(at, `${size} bytes`, `at most ${SPEC_LIMITS.variableBytes} bytes`);
    bytes += name.length + size;
    return { name, value };
  });
  if (bytes <= SPEC_LIMITS.environmentBytes) return environment;
  throw refuse(place, `${bytes} bytes in all`, `at most ${SPEC_LIMITS.environmentBytes} bytes`);
}

function checkName(place: Place, name: string, seen: ReadonlySet<string>): void {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,255}$/.test(name)) {
    const allowed = 'a name of letters, digits and underscores, no digit first, 1 to 256 characters';
    throw refuse(place, 'the name is none of a variable', allowed);
  }
  if (seen.has(name)) throw refuse(place, 'the same name is set twice', 'one value for each name');
}

/** A value as Compose writes it into an environment; `undefined` for none. */
function scalarOf(place: Place): string | undefined {
  const { value } = place;
  if (value === null) return undefined;
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  if (typeof value !== 'number') throw refuseFound(place, 'a text, a number, true, false, or nothing');
  const text = String(value);
  if (/^-?\d+(\.\d+)?$/.test(text)) return text;
  throw refuse(place, 'a number whose digits can be written in several ways', 'such a value in quotes');
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
