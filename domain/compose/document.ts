import { invalidArgument } from '../errors.ts';
import { COMPOSE_LIMITS } from './application.ts';
import {
  createInterpolation,
  type Interpolation,
  interpolateText,
  missingVariables,
  type Variables,
} from './interpolation.ts';
import { isMap, type Place, pathOf, refuseFound } from './place.ts';

/** Names that every object of JavaScript has: no key of a file may be mistaken for one. */
const RESERVED_KEYS: ReadonlySet<string> = new Set([
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'prototype',
  'toString',
  'valueOf',
]);

interface Walk extends Interpolation {
  /** Values that may still come. */
  left: number;
}

/**
 * Takes a raw value apart into a tree of its own, with variables put into its texts (never into its keys), and keeps
 * what was written beside it.
 *
 * The raw value may share parts with itself, as YAML's aliases make it: each use is counted, so that a few lines cannot
 * stand for billions. `x-…` at the top is left out, since nothing reads it.
 *
 * @throws INVALID_ARGUMENT for what is no value of YAML, for too much of it, and for variables that were not given.
 */
export function interpolateDocument(raw: unknown, variables: Variables): Place {
  if (!isMap(raw)) throw refuseFound({ path: 'file', value: raw, written: raw }, 'a Compose file: a map with services');
  const walk: Walk = { ...createInterpolation(variables), left: COMPOSE_LIMITS.values };
  const whole = copy({ path: '', depth: 0 }, raw, walk);
  const [first, ...others] = walk.missing;
  if (first) throw missingVariables([first, ...others]);
  return { path: '', ...whole };
}

interface Position {
  readonly path: string;
  readonly depth: number;
}

interface Copy {
  readonly written: unknown;
  readonly value: unknown;
}

function copy(at: Position, raw: unknown, walk: Walk): Copy {
  const { path, depth } = at;
  walk.left -= 1;
  if (walk.left < 0) {
    throw invalidArgument(
      path,
      'more values than a file may hold',
      `at most ${COMPOSE_LIMITS.values}, aliases counted`,
    );
  }
  if (depth > COMPOSE_LIMITS.depth) {
    throw invalidArgument(path, 'nested too deep', `at most ${COMPOSE_LIMITS.depth} levels`);
  }
  if (typeof raw === 'string') {
    checkText(path, raw);
    const value = interpolateText(path, raw, walk);
    checkText(path, value);
    return { written: raw, value };
  }
  if (raw === null || typeof raw === 'boolean' || Number.isFinite(raw)) return { written: raw, value: raw };
  if (Array.isArray(raw)) return copyList(at, raw, walk);
  if (isPlain(raw)) return copyMap(at, raw, walk);
  throw invalidArgument(path, `found ${typeof raw === 'number' ? raw : `a ${typeof raw}`}`, 'a value of YAML 1.2');
}

/** Dates, sets and the like are no values of YAML's core schema. */
function isPlain(raw: unknown): raw is object {
  if (!isMap(raw)) return false;
  const prototype: unknown = Object.getPrototypeOf(raw);
  return prototype === Object.prototype || prototype === null;
}

function copyList({ path, depth }: Position, raw: readonly unknown[], walk: Walk): Copy {
  const items = raw.map((item, index) => copy({ path: `${path}[${index}]`, depth: depth + 1 }, item, walk));
  return { written: items.map(({ written }) => written), value: items.map(({ value }) => value) };
}

function copyMap({ path, depth }: Position, raw: object, walk: Walk): Copy {
  const written: Record<string, unknown> = {};
  const value: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(raw)) {
    if (depth === 0 && key.startsWith('x-')) continue;
    const member = pathOf(path, key);
    checkKey(member, key);
    const copied = copy({ path: member, depth: depth + 1 }, inner, walk);
    written[key] = copied.written;
    value[key] = copied.value;
  }
  return { written, value };
}

function checkKey(path: string, key: string): void {
  checkText(path, key);
  if (RESERVED_KEYS.has(key)) throw invalidArgument(path, 'found a reserved key', 'any other name');
  if (key.length > 1024) throw invalidArgument(path, `a key of ${key.length} characters`, 'at most 1024');
}

function checkText(path: string, text: string): void {
  if (text.includes('\0')) throw invalidArgument(path, 'holds a NUL character', 'any other character');
  if (!text.isWellFormed()) throw invalidArgument(path, 'holds half of a character', 'text that is valid Unicode');
}
