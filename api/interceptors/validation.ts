import { type DescEnum, type DescMessage, isMessage, type Message } from '@bufbuild/protobuf';
import { isReflectMessage, type Path, pathToString, type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { type Duration, DurationSchema, durationMs } from '@bufbuild/protobuf/wkt';
import { createValidator, type Validator, type Violation } from '@bufbuild/protovalidate';
import type { Interceptor } from '@connectrpc/connect';
import { DomainError, invalidArgument } from '../../domain/errors.ts';
import { checkText } from './well-formed.ts';

/** Fields whose values never appear in an error, because they may be secrets. */
const HIDDEN_FIELDS = new Set([
  ...['value', 'password', 'join_token', 'command', 'signing_jwk', 'encryption_jwk', 'jwe', 'chunk'],
]);

/** More of a wrong value than this helps nobody. */
const SHOWN_CHARACTERS = 40;

/** Patterns in words for people, by the field or, where fields of one name differ, by message and field. */
const ALLOWED_BY_PATTERN: Record<string, string> = {
  name: 'lower-case letters, digits and hyphens, a letter first, no hyphen last',
  'EnvironmentVariable.name': 'letters, digits and underscores, no digit first',
  idempotency_key: 'letters, digits and . _ : -',
  context_sha256: '64 lower-case hex digits',
  node_id: 'a-z, 0-9 and hyphens',
  username: 'characters that can be printed, without colons',
};

/** Holds every message that comes in against the rules that its proto states. @throws INVALID_ARGUMENT */
export function createValidationInterceptor(validator: Validator = createValidator()): Interceptor {
  return (next) => (request) => {
    if (request.stream) {
      return next({ ...request, message: validated(validator, request.method.input, request.message) });
    }
    validate(validator, request.method.input, request.message);
    return next(request);
  };
}

async function* validated<M extends Message>(validator: Validator, schema: DescMessage, messages: AsyncIterable<M>) {
  for await (const message of messages) {
    validate(validator, schema, message);
    yield message;
  }
}

/** Refuses a message that breaks a rule: names the field, what was found (never of a secret), what is allowed. */
export function validate(validator: Validator, schema: DescMessage, message: Message): void {
  const result = validator.validate(schema, message);
  if (result.kind === 'valid') {
    checkText(schema, message);
    return;
  }
  if (result.kind === 'error') {
    throw new DomainError('INTERNAL', `cannot check ${schema.typeName}`, { cause: result.error });
  }
  const [first, ...more] = result.violations;
  if (!first) return;
  const others = more.length === 0 ? '' : ` (and ${more.length} more)`;
  const field = pathToString(first.field) || schema.name;
  throw invalidArgument(field, foundAt(reflect(schema, message), first.field), `${allowedBy(first)}${others}`);
}

function allowedBy({ message, ruleId, field }: Violation): string {
  const last = field.at(-1);
  if (last?.kind === 'oneof') return `one of ${last.fields.map(({ name }) => name).join(', ')}`;
  if (last?.kind === 'field') {
    const { name, parent } = last;
    const pattern = ALLOWED_BY_PATTERN[`${parent.name}.${name}`] ?? ALLOWED_BY_PATTERN[name];
    if (ruleId === 'string.pattern' && pattern) return pattern;
    if (/^(int|uint|double)/.test(ruleId)) return `${inWords(message)}${unitOf(name)}`;
    if (ruleId === 'enum.defined_only' && last.enum) return `one of ${namesOf(last.enum)}`;
  }
  if (ruleId === 'required') return 'a value';
  if (ruleId.startsWith('string.uuid')) return 'a uuid';
  return inWords(message) || ruleId;
}

/** Every value of an enum but the one for "not set". */
function namesOf({ values }: DescEnum): string {
  return values.flatMap(({ name, number }) => (number === 0 ? [] : [name])).join(', ');
}

/** A rule's own message as the end of "allowed is …". */
function inWords(message: string): string {
  return message
    .replace(/^(value )?must (be|have|contain) /, '')
    .replace(/^greater than or equal to (\S+) and less than or equal to (\S+)$/, '$1 to $2')
    .replace(/^greater than or equal to /, 'at least ')
    .replace(/^(less than or equal to|no more than) /, 'at most ')
    .replace(/ item\(s\)$/, ' items')
    .replace(/\b1 (character|item|byte)s$/, '1 $1')
    .replace(/\b(\d+)(\.\d*[1-9])?\.?0*s\b/g, '$1$2 s');
}

function foundAt(message: ReflectMessage, path: Path): string {
  const name = nameOf(path);
  const value = valueAt(message, path);
  if (value === undefined || value === null) return 'nothing is set';
  if (Array.isArray(value)) return `found ${value.length} items`;
  if (typeof value === 'string') return foundText(value, HIDDEN_FIELDS.has(name));
  if (value instanceof Uint8Array) return `found ${value.length} bytes`;
  if (isReflectMessage(value) && isMessage(value.message, DurationSchema)) return `found ${inSeconds(value.message)}`;
  if (typeof value === 'object' || HIDDEN_FIELDS.has(name)) return 'found another value';
  return `found ${String(value)}${unitOf(name)}`;
}

function foundText(text: string, isHidden: boolean): string {
  const size = `${text.length} characters`;
  if (isHidden) return `found ${size}`;
  if (text.length <= SHOWN_CHARACTERS) return `found ${JSON.stringify(text)}`;
  return `found ${JSON.stringify(text.slice(0, SHOWN_CHARACTERS))}… (${size})`;
}

function inSeconds(duration: Duration): string {
  return `${durationMs(duration) / 1000} s`;
}

/** Names of fields say their unit. */
function unitOf(name: string): string {
  return /_(bytes|cores)$/.exec(name)?.[0].replace('_', ' ') ?? '';
}

function nameOf(path: Path): string {
  return path.findLast((step) => step.kind === 'field')?.name ?? '';
}

/** Follows a path through messages, lists and maps; `undefined` where it leads nowhere, as for an unset oneof. */
function valueAt(message: ReflectMessage, path: Path): unknown {
  let at: unknown = message;
  for (const step of path) {
    if (step.kind === 'field') at = fieldOf(at, step);
    else if (step.kind === 'list_sub') at = (at as { get?(index: number): unknown })?.get?.(step.index);
    else if (step.kind === 'map_sub') at = (at as { get?(key: unknown): unknown })?.get?.(step.key);
    else return undefined;
  }
  return isList(at) ? [...at] : at;
}

function fieldOf(at: unknown, field: Extract<Path[number], { kind: 'field' }>): unknown {
  const message = at as ReflectMessage | undefined;
  const holds = message?.desc?.typeName === field.parent?.typeName;
  if (!message || !holds) return undefined;
  return field.presence !== undefined && !message.isSet(field) && field.fieldKind === 'message'
    ? undefined
    : message.get(field);
}

function isList(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value && !(value instanceof Uint8Array);
}
