import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { found, type Place, pathOf, refuse, refuseFound, shown } from '../../domain/compose/place.ts';
import { unknownKey } from '../../domain/compose/read-keys.ts';
import type { DomainError } from '../../domain/errors.ts';
import schema from './schema/compose-spec.json' with { type: 'json' };

/**
 * As strict as the official schema allows: it leaves the types of some maps, and the properties that `required` names,
 * to the schemas that it refers to. Patterns are compiled as Unicode (the default). Without inlining and optimizing, it
 * is compiled in a fifth of a second instead of one, and is as fast.
 */
const OPTIONS = {
  strict: true,
  strictTypes: false,
  strictRequired: false,
  inlineRefs: false,
  code: { optimize: false },
} as const;

let compiled: ValidateFunction | undefined;

/**
 * Checks a file against the JSON schema of the Compose specification: a second wall behind the translation, which has
 * the better words. It finds what the translation leaves aside, such as wrong values of keys without effect.
 *
 * The first call compiles the schema.
 *
 * @throws INVALID_ARGUMENT with the path into the file.
 */
export function checkSchema(file: Place): void {
  compiled ??= new Ajv2020(OPTIONS).compile(schema);
  if (compiled(file.value)) return;
  throw toRefusal(file, compiled.errors ?? []);
}

const KINDS: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  integer: 'a whole number',
  null: 'nothing',
  number: 'a number',
  object: 'a map',
  string: 'a text',
};

/** Of several forms that a value may have, the finding that came furthest is the one that helps. */
function toRefusal(file: Place, errors: readonly ErrorObject[]): DomainError {
  const findings = errors.filter(({ keyword }) => keyword !== 'oneOf' && keyword !== 'anyOf' && keyword !== 'allOf');
  const depth = Math.max(...findings.map(depthOf));
  const deepest = findings.filter((error) => depthOf(error) === depth);
  const telling = deepest.find(({ keyword }) => keyword !== 'type') ?? deepest[0];
  if (!telling) return refuse(file, 'no Compose file', 'what the Compose specification allows');
  const place = placeAt(file, telling.instancePath);
  if (telling.keyword !== 'type') return toWords(place, telling);
  const types = deepest.flatMap(({ params }) => [params.type].flat());
  return refuse(place, found(place), [...new Set(types.map((type) => KINDS[type] ?? type))].join(', or '));
}

function toWords(place: Place, { keyword, params }: ErrorObject): DomainError {
  switch (keyword) {
    case 'additionalProperties':
    case 'unevaluatedProperties': {
      const key: string = params.additionalProperty ?? params.unevaluatedProperty;
      return unknownKey(pathOf(place.path, key), key, {});
    }
    case 'enum':
      return refuseFound(place, `one of ${params.allowedValues.join(', ')}`);
    case 'required':
      return refuse(place, `${shown(params.missingProperty)} is not set`, 'a map that has it');
    case 'uniqueItems':
      return refuse(place, `items ${params.j} and ${params.i} are the same`, 'each item once');
    case 'minimum':
      return refuseFound(place, `${params.limit} or more`);
    case 'maximum':
      return refuseFound(place, `${params.limit} or less`);
    default:
      return refuseFound(place, 'what the Compose specification has for it');
  }
}

function depthOf({ instancePath }: ErrorObject): number {
  return instancePath.split('/').length;
}

/** The place that a JSON pointer leads to. */
function placeAt(file: Place, pointer: string): Place {
  const keys = pointer.split('/').slice(1);
  return keys
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<Place>(({ path, written, value }, key) => {
      const step = Array.isArray(value) ? `${path}[${key}]` : pathOf(path, key);
      return { path: step, written: memberOf(written, key), value: memberOf(value, key) };
    }, file);
}

function memberOf(value: unknown, key: string): unknown {
  return (value as Readonly<Record<string, unknown>>)[key];
}
