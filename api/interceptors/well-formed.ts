import type { DescMessage, Message } from '@bufbuild/protobuf';
import { isReflectList, isReflectMap, isReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { invalidArgument } from '../../domain/errors.ts';

/**
 * Refuses text that cannot be stored or sent on: with a NUL, which PostgreSQL and containers do not take, or with half
 * a surrogate pair, which no UTF-8 has.
 *
 * @throws INVALID_ARGUMENT naming the first such field, without its text.
 */
export function checkText(schema: DescMessage, message: Message): void {
  checkValue(reflect(schema, message), '');
}

function checkValue(value: unknown, path: string): void {
  if (typeof value === 'string') {
    if (value.includes('\0')) throw invalidArgument(path, 'found a NUL character', 'text without NUL');
    if (!value.isWellFormed()) throw invalidArgument(path, 'found half a surrogate pair', 'well-formed Unicode text');
  } else if (isReflectMessage(value)) {
    const prefix = path === '' ? '' : `${path}.`;
    for (const field of value.fields) if (value.isSet(field)) checkValue(value.get(field), `${prefix}${field.name}`);
  } else if (isReflectList(value)) {
    for (const [index, item] of [...value].entries()) checkValue(item, `${path}[${index}]`);
  } else if (isReflectMap(value)) {
    for (const [key, item] of value) {
      checkValue(key, path);
      checkValue(item, path);
    }
  }
}
