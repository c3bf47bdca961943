import { type DomainError, invalidArgument } from '../errors.ts';

/** A value of the file: where it stands, what is written there, and what that is with its variables put in. */
export interface Place {
  /** For example `services.web.ports[0]`. */
  readonly path: string;
  /** Shown to people: unlike `value`, it holds no value of a variable. */
  readonly written: unknown;
  readonly value: unknown;
}

/** What a YAML file of Compose may call true and false, beside the two words themselves (YAML 1.1's). */
const FLAG_WORDS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['yes', true],
  ['on', true],
  ['y', true],
  ['false', false],
  ['no', false],
  ['off', false],
  ['n', false],
]);

/** Path of a member of a map. */
export function pathOf(parent: string, key: string): string {
  const isPlain = /^[A-Za-z0-9_-]{1,80}$/.test(key);
  if (isPlain) return parent === '' ? key : `${parent}.${key}`;
  return `${parent}[${shown(key)}]`;
}

/** Refuses a place: what was found, and what is allowed. */
export function refuse(place: Place, finding: string, allowed: string): DomainError {
  return invalidArgument(place.path, finding, allowed);
}

/** Refuses a place for what stands there. */
export function refuseFound(place: Place, allowed: string): DomainError {
  return refuse(place, found(place), allowed);
}

/** Says what stands at a place, as it is written: never the value of a variable. */
export function found({ written, value }: Place): string {
  if (written === null || written === undefined) return 'found nothing';
  if (Array.isArray(written)) return 'found a list';
  if (isMap(written)) return 'found a map';
  if (typeof written !== 'string') return `found ${written}`;
  return `found ${shown(written)}${written === value ? '' : ' (with the variables given)'}`;
}

/** A text for a message: quoted, its control characters escaped, cut where it is long. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

/** Whether a value is a map of YAML. */
export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The members of a map. @throws INVALID_ARGUMENT for anything else. */
export function membersOf(place: Place): readonly (readonly [key: string, member: Place])[] {
  const { path, value, written } = place;
  if (!isMap(value) || !isMap(written)) throw refuseFound(place, 'a map');
  return Object.entries(value).map(([key, inner]) => [
    key,
    { path: pathOf(path, key), value: inner, written: written[key] },
  ]);
}

/** The items of a list. @throws INVALID_ARGUMENT for anything else. */
export function itemsOf(place: Place): readonly Place[] {
  const { path, value, written } = place;
  if (!Array.isArray(value) || !Array.isArray(written)) throw refuseFound(place, 'a list');
  return value.map((item, index) => ({ path: `${path}[${index}]`, value: item, written: written[index] }));
}

/** @throws INVALID_ARGUMENT for anything but a text. */
export function textOf(place: Place, allowed = 'a text (in quotes if it looks like a number)'): string {
  if (typeof place.value === 'string') return place.value;
  throw refuseFound(place, allowed);
}

/** A flag, also in the words of YAML 1.1 and in quotes, as Compose takes it. @throws INVALID_ARGUMENT. */
export function flagOf(place: Place): boolean {
  if (typeof place.value === 'boolean') return place.value;
  const flag = typeof place.value === 'string' ? FLAG_WORDS.get(place.value.toLowerCase()) : undefined;
  if (flag === undefined) throw refuseFound(place, 'true or false');
  return flag;
}

/** A whole number within bounds, also as a text of digits. @throws INVALID_ARGUMENT. */
export function wholeOf(place: Place, [least, most]: readonly [least: number, most: number]): number {
  const { value } = place;
  const whole = typeof value === 'string' && /^[+-]?\d{1,15}$/.test(value) ? Number(value) : value;
  if (typeof whole === 'number' && Number.isSafeInteger(whole) && whole >= least && whole <= most) return whole;
  throw refuseFound(place, `a whole number from ${least} to ${most}`);
}
