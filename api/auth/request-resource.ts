import type { DescMessage, Message } from '@bufbuild/protobuf';
import { isReflectMessage, type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { DomainError, invalidArgument } from '../../domain/errors.ts';
import type { OwnedReference } from '../../domain/permissions.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Reads the id that a request holds at a reference, in lower case; `undefined` when the field is not set.
 *
 * @throws INVALID_ARGUMENT when it is no UUID, so that nothing else is ever looked up.
 */
export function readResourceId(
  schema: DescMessage,
  message: Message,
  { kind, field }: OwnedReference,
): string | undefined {
  const value = readField(reflect(schema, message), field.split('.'));
  if (value === undefined || value === '') return undefined;
  const id = typeof value === 'string' ? value.toLowerCase() : '';
  if (!UUID.test(id)) throw invalidArgument(field, 'is not a uuid', `the id of the ${kind} as this api answered it`);
  return id;
}

function readField(message: ReflectMessage, [name, ...rest]: string[]): unknown {
  const field = message.fields.find((candidate) => candidate.name === name);
  if (!field) throw new DomainError('INTERNAL', `${message.desc.typeName} has no field ${name}`);
  if (!message.isSet(field)) return undefined;
  const value: unknown = message.get(field);
  return rest.length > 0 && isReflectMessage(value) ? readField(value, rest) : value;
}
