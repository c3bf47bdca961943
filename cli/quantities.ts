import { MIN_MEMORY_BYTES } from '../domain/spec.ts';
import { refuse } from './failures.ts';

const KIB = 1024;
const UNIT_BYTES: Record<string, number> = {
  '': 1,
  b: 1,
  k: KIB,
  kib: KIB,
  m: KIB ** 2,
  mib: KIB ** 2,
  g: KIB ** 3,
  gib: KIB ** 3,
  t: KIB ** 4,
  tib: KIB ** 4,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
};

/** Reads a size such as `256MiB`, `1.5GiB`, `512m` (as Docker: mebibytes) or `268435456`, as bytes. */
export function parseBytes(field: string, text: string): bigint {
  const [, amount, unit] = /^(\d{1,15}(?:\.\d{1,6})?)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const factor = UNIT_BYTES[unit?.toLowerCase() ?? '?'];
  if (amount === undefined || factor === undefined) {
    throw refuse(field, `"${text}" is not a size; allowed are for example 256MiB, 1GiB, 512m`);
  }
  return BigInt(Math.round(Number(amount) * factor));
}

/** Reads a limit of memory. @throws INVALID_ARGUMENT below Docker's minimum too. */
export function parseMemory(field: string, text: string): bigint {
  const bytes = parseBytes(field, text);
  if (bytes >= MIN_MEMORY_BYTES) return bytes;
  throw refuse(field, `"${text}" is too little; allowed is at least ${showBytes(MIN_MEMORY_BYTES)}`);
}

const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Reads a duration such as `500ms`, `5s`, `1m`, `1h` or `1d`, as milliseconds. */
export function parseDuration(field: string, text: string): number {
  const [, amount, unit = ''] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text.trim()) ?? [];
  const factor = UNIT_MS[unit];
  if (amount === undefined || factor === undefined) {
    throw refuse(field, `"${text}" is not a duration; allowed are for example 500ms, 5s, 1m, 1h`);
  }
  return Number(amount) * factor;
}

/** Reads a whole number within bounds. */
export function parseWhole(field: string, text: string, bounds: { min: number; max: number }): number {
  const value = Number(text);
  const { min, max } = bounds;
  if (!/^-?\d{1,15}$/.test(text.trim()) || value < min || value > max) {
    throw refuse(field, `"${text}" is not allowed; allowed are whole numbers from ${min} to ${max}`);
  }
  return value;
}

/** Reads a number above zero, such as `0.5`. */
export function parseCores(field: string, text: string): number {
  if (!/^\d{1,6}(\.\d{1,6})?$/.test(text.trim()) || Number(text) <= 0) {
    throw refuse(field, `"${text}" is not a number of cores; allowed are for example 0.5, 1, 2`);
  }
  return Number(text);
}

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** A size for people, three digits at most before the unit: `12.3 MiB`. */
export function showBytes(bytes: number | bigint): string {
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1000 && unit < BYTE_UNITS.length - 1) {
    value /= KIB;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${BYTE_UNITS[unit]}`;
}

const AGE_UNITS: readonly (readonly [number, string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
];

/** A time span for people, in its largest whole unit: `3 min`. */
export function showSpan(ms: number): string {
  const [size, unit] = AGE_UNITS.find(([unitMs]) => ms >= unitMs) ?? [1000, 's'];
  return `${Math.max(0, Math.floor(ms / size))} ${unit}`;
}
