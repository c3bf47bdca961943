import type { DescMessage, Message } from '@bufbuild/protobuf';
import { type Path, pathToString, type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { createValidator, type Validator, type Violation } from '@bufbuild/protovalidate';
import type { Interceptor } from '@connectrpc/connect';
import { DomainError, invalidArgument } from '../../domain/errors.ts';
import { checkText } from './well-formed.ts';

/** Fields whose values never appear in an error, because they may be secrets. */
const HIDDEN_FIELDS = new Set(['value', 'join_token', 'command', 'signing_jwk', 'encryption_jwk', 'jwe', 'chunk']);

/** More of a wrong value than this helps nobody. */
const SHOWN_CHARACTERS = 40;

/** Rules whose own words are for machines, in words for people. */
const ALLOWED_BY_PATTERN: Record<string, string> = {
  name: 'lower-case letters, digits and hyphens, a letter first, no hyphen last',
  idempotency_key: 'letters, digits and . _ : -',
  context_sha256: '64 lower-case hex digits',
  node_id: 'a-z, 0-9 and hyphens',
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
  const name = nameOf(field);
  if (ruleId === 'string.pattern') return ALLOWED_BY_PATTERN[name] ?? 'letters, digits and underscores, no digit first';
  const allowed = message
    .replace(/^(value )?must (be|have|contain) /, '')
    .replace(/^greater than or equal to (\S+) and less than or equal to (\S+)$/, '$1 to $2')
    .replace(/^greater than or equal to /, 'at least ')
    .replace(/^less than or equal to /, 'at most ');
  return allowed || ruleId;
}

function foundAt(message: ReflectMessage, path: Path): string {
  const name = nameOf(path);
  const value = valueAt(message, path);
  if (value === undefined || value === null) return 'nothing is set';
  if (Array.isArray(value)) return `found ${value.length} items`;
  if (typeof value === 'string') return foundText(value, HIDDEN_FIELDS.has(name));
  if (value instanceof Uint8Array) return `found ${value.length} bytes`;
  if (typeof value === 'object' || HIDDEN_FIELDS.has(name)) return 'found another value';
  return `found ${String(value)}`;
}

function foundText(text: string, isHidden: boolean): string {
  const size = `${text.length} characters`;
  if (isHidden) return `found ${size}`;
  if (text.length <= SHOWN_CHARACTERS) return `found ${JSON.stringify(text)}`;
  return `found ${JSON.stringify(text.slice(0, SHOWN_CHARACTERS))}… (${size})`;
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
