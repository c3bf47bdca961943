import { DomainError, invalidArgument } from '../errors.ts';
import { COMPOSE_LIMITS } from './application.ts';
import { shown } from './place.ts';

/** Values that a caller gives for the `${…}` of a file. Nothing else is ever looked at. */
export type Variables = Readonly<Record<string, string>>;

/** A variable that a file needs and the caller did not give. */
export interface MissingVariable {
  readonly path: string;
  readonly name: string;
  /** What the file says about it (`${NAME:?reason}`), as it is written; may be empty. */
  readonly reason: string;
}

/** What the interpolation of one file shares: the values, the room that is left, and what was not there. */
export interface Interpolation {
  readonly variables: Variables;
  readonly missing: MissingVariable[];
  /** Characters that may still come out. */
  room: number;
}

const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const OPERATOR = /:?[-?+]/y;

/** Begins the interpolation of a file. */
export function createInterpolation(variables: Variables): Interpolation {
  return { variables, missing: [], room: COMPOSE_LIMITS.characters };
}

/**
 * Puts variables into one text, exactly as Compose does: `$NAME`, `${NAME}`, `:-` and `-` (default), `:?` and `?`
 * (required), `:+` and `+` (alternative), `$$` for a dollar, words nested in words. A dollar before anything else is a
 * dollar. Of a word that is not needed only the braces are looked at.
 *
 * It differs in one point: Compose takes a variable that is not there for an empty one. Here it is noted in `missing`,
 * and the text is of no use.
 *
 * @throws INVALID_ARGUMENT for braces that hold no variable, and when more comes out than a file may hold.
 */
export function interpolateText(path: string, text: string, interpolation: Interpolation, depth = 0): string {
  if (depth > COMPOSE_LIMITS.nestedVariables) {
    throw invalidArgument(path, 'variables nested in variables', `at most ${COMPOSE_LIMITS.nestedVariables} deep`);
  }
  let out = '';
  let at = 0;
  while (at < text.length) {
    const dollar = text.indexOf('$', at);
    const plain = text.slice(at, dollar < 0 ? text.length : dollar);
    out += take(path, plain, interpolation);
    if (dollar < 0) break;
    const [value, end] = substitute({ path, text, interpolation, depth }, dollar);
    out += value;
    at = end;
  }
  return out;
}

/** Refuses a file for variables that were not given: all of them at once. */
export function missingVariables(missing: readonly [MissingVariable, ...MissingVariable[]]): DomainError {
  const [{ path, name, reason }] = missing;
  const names = [...new Set(missing.map((one) => one.name))];
  const why = reason === '' ? '' : ` (${reason.length > 200 ? `${reason.slice(0, 200)}…` : reason})`;
  const more = names.length > 1 ? `, nor have ${names.slice(1, 21).join(', ')}` : '';
  return new DomainError(
    'INVALID_ARGUMENT',
    `${path}: variable ${name} has no value${why}${more}; allowed is a value from you, or a default such as \${${name}:-…}`,
    { field: path, hint: `Give values for ${names.slice(0, 21).join(', ')}.` },
  );
}

interface Scan {
  readonly path: string;
  readonly text: string;
  readonly interpolation: Interpolation;
  readonly depth: number;
}

/** What stands at a dollar: its value, and where the text goes on. */
function substitute(scan: Scan, dollar: number): readonly [value: string, end: number] {
  const { path, text, interpolation } = scan;
  const next = text[dollar + 1];
  if (next === '$') return [take(path, '$', interpolation), dollar + 2];
  if (next === '{') {
    const close = closingBrace(text, dollar + 1);
    if (close < 0) throw noVariable(path, text.slice(dollar));
    return [substituteBraced(scan, text.slice(dollar + 2, close), text.slice(dollar, close + 1)), close + 1];
  }
  const name = matchAt(NAME, text, dollar + 1);
  if (name === '') return [take(path, '$', interpolation), dollar + 1];
  return [take(path, lookUp(scan, name) ?? noted(scan, name, ''), interpolation), dollar + 1 + name.length];
}

function substituteBraced(scan: Scan, inside: string, whole: string): string {
  const { path, interpolation, depth } = scan;
  const name = matchAt(NAME, inside, 0);
  const operator = matchAt(OPERATOR, inside, name.length);
  const isWhole = inside.length === name.length || operator !== '';
  if (name === '' || !isWhole || inside.includes('\n')) throw noVariable(path, whole);
  const word = inside.slice(name.length + operator.length);
  const value = lookUp(scan, name);
  const isThere = value !== undefined && (value !== '' || !operator.startsWith(':'));
  const nested = () => interpolateText(path, word, interpolation, depth + 1);
  const given = () => take(path, value ?? '', interpolation);
  if (operator.endsWith('-')) return isThere ? given() : nested();
  if (operator.endsWith('+')) return isThere ? nested() : given();
  if (operator.endsWith('?')) return isThere ? given() : noted(scan, name, word);
  return value === undefined ? noted(scan, name, '') : given();
}

function lookUp({ interpolation: { variables } }: Scan, name: string): string | undefined {
  return Object.hasOwn(variables, name) ? variables[name] : undefined;
}

function noted({ path, interpolation }: Scan, name: string, reason: string): string {
  interpolation.missing.push({ path, name, reason });
  return '';
}

function take(path: string, text: string, interpolation: Interpolation): string {
  interpolation.room -= text.length;
  if (interpolation.room >= 0) return text;
  const finding = 'more text than a file may hold once its variables are put in';
  throw invalidArgument(path, finding, `at most ${COMPOSE_LIMITS.characters} characters in all`);
}

/**
 * The brace that closes the one at `open`, else the last one at all; -1 when there is none.
 *
 * Compose counts braces within, but never the character after an opening one: `${A:-{{x}}}` ends at the second `}`,
 * and the third is plain text. It is followed in this too.
 */
function closingBrace(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at += 1) {
    if (text[at] === '}') depth -= 1;
    if (depth === 0 && text[at] === '}') return at;
    if (text[at] !== '{') continue;
    depth += 1;
    at += 1;
  }
  const last = text.lastIndexOf('}');
  return last > open ? last : -1;
}

function noVariable(path: string, text: string): DomainError {
  return invalidArgument(
    path,
    `found ${shown(text)}, which is no variable`,
    'forms such as ${NAME} and ${NAME:-default}, and $$ for a dollar',
  );
}

function matchAt(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? '';
}
