import { DomainError, invalidArgument } from '../errors.ts';
import type { RegistryRules } from '../image-reference.ts';
import type { Variables } from './interpolation.ts';
import { membersOf, type Place, shown } from './place.ts';

/** What the parts of a translation share. */
export interface Translation {
  readonly variables: Variables;
  readonly registries: RegistryRules;
  /** Notes what is taken differently than Compose would. The reason holds no value of a variable. */
  readonly warn: (place: Place, reason: string) => void;
  /** Notes a refusal without ending the translation, so that a caller is told all of them at once. */
  readonly problem: (refusal: DomainError) => void;
}

/** What becomes of a key of the Compose specification. A key without a rule is none of its keys. */
export type KeyRule =
  | { readonly kind: 'taken' }
  /** Without effect here, and harmless: a warning says why. */
  | { readonly kind: 'ignored'; readonly why: string }
  /** May be there as `false`, which says nothing. */
  | { readonly kind: 'off'; readonly why: string; readonly instead: string }
  | { readonly kind: 'refused'; readonly why: string; readonly instead: string };

export type KeyRules<K extends string = string> = Readonly<Record<K, KeyRule>>;

export const TAKEN: KeyRule = { kind: 'taken' };

/** A key that has no effect here. */
export function ignored(why: string): KeyRule {
  return { kind: 'ignored', why };
}

/** A key that this platform does not support. */
export function refused(why: string, instead = 'a file without it'): KeyRule {
  return { kind: 'refused', why, instead };
}

/** A flag that may only be off. */
export function off(why: string, instead = 'a file without it, or false'): KeyRule {
  return { kind: 'off', why, instead };
}

/**
 * Reads a map of which every key is known: those that are taken come back.
 *
 * Noted as a problem are keys that are not supported, and in other words those that Compose does not have. `x-…` is
 * left out without a word, as the specification has it.
 *
 * @throws INVALID_ARGUMENT for what is no map.
 */
export function readKeys<K extends string>(
  place: Place,
  rules: KeyRules<K>,
  { warn, problem }: Pick<Translation, 'warn' | 'problem'>,
): Partial<Record<K, Place>> {
  const taken: Partial<Record<K, Place>> = {};
  for (const [key, member] of membersOf(place)) {
    if (key.startsWith('x-')) continue;
    if (!hasRule(rules, key)) {
      problem(unknownKey(member.path, key, rules));
      continue;
    }
    const rule = rules[key];
    if (rule.kind === 'taken') taken[key] = member;
    else if (rule.kind === 'ignored') warn(member, rule.why);
    else if (rule.kind === 'refused' || member.value !== false) problem(unsupportedKey(member.path, rule));
  }
  return taken;
}

/** Refuses a key that the Compose specification does not have. */
export function unknownKey(path: string, key: string, known: KeyRules): DomainError {
  const likely = Object.keys(known).filter((name) => known[name]?.kind === 'taken' && isSlip(key, name))[0];
  const allowed = likely ?? 'a key that docs/compose.md lists';
  return new DomainError('INVALID_ARGUMENT', `${path}: Compose has no key ${shown(key)} here; allowed is ${allowed}`, {
    field: path,
    hint: likely === undefined ? 'Correct the key, or remove it.' : `Write ${likely} if that is what you mean.`,
  });
}

function unsupportedKey(path: string, { why, instead }: { why: string; instead: string }): DomainError {
  return invalidArgument(path, `not supported on this platform: ${why}`, instead);
}

function hasRule<K extends string>(rules: KeyRules<K>, key: string): key is K {
  return Object.hasOwn(rules, key);
}

/** Whether one word is the other with a letter too many, too few, another one, or two swapped: two slips at most. */
function isSlip(found: string, meant: string): boolean {
  if (Math.abs(found.length - meant.length) > 2) return false;
  const width = meant.length + 1;
  const cost: number[] = Array.from({ length: (found.length + 1) * width }, () => 0);
  const at = (row: number, column: number): number => cost[row * width + column] ?? 0;
  for (let row = 0; row <= found.length; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const isSame = found[row - 1] === meant[column - 1];
      const isSwap =
        row > 1 && column > 1 && found[row - 1] === meant[column - 2] && found[row - 2] === meant[column - 1];
      const steps = [at(row - 1, column) + 1, at(row, column - 1) + 1, at(row - 1, column - 1) + (isSame ? 0 : 1)];
      if (isSwap) steps.push(at(row - 2, column - 2) + 1);
      cost[row * width + column] = row === 0 || column === 0 ? row + column : Math.min(...steps);
    }
  }
  return at(found.length, meant.length) <= 2;
}
