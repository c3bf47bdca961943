import { refuse } from './failures.ts';

/** Reads one of some names. @throws INVALID_ARGUMENT naming the option and what is allowed */
export function nameOf<Name extends string>(option: string, text: string, allowed: readonly Name[]): Name {
  const known = allowed.find((name) => name === text);
  if (known !== undefined) return known;
  throw refuse(option, `"${text}" is not allowed; allowed are ${allowed.join(', ')}`);
}

/** Reads one of some names, as what stands for it. @throws INVALID_ARGUMENT naming the option and what is allowed */
export function oneOf<Value>(option: string, text: string, values: Readonly<Record<string, Value>>): Value {
  return values[nameOf(option, text, Object.keys(values))] as Value;
}
