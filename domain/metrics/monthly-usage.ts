import { invalidArgument } from '../errors.ts';

/** Months that one answer tells of at most. */
export const MAX_MONTHS = 36;

const MONTH = /^(2\d{3})-(0[1-9]|1[0-2])$/;

/** A range of months of UTC, from its first moment up to and without its end, milliseconds since 1970. */
export interface Months {
  /** `YYYY-MM`, in the order of time. */
  readonly names: readonly string[];
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * Reads a range of months. Where one end is empty it is the other; where both are it is the present month.
 *
 * @throws INVALID_ARGUMENT
 */
export function planMonths(wish: { readonly first: string; readonly last: string }, nowMs: number): Months {
  const present = monthOf(nowMs);
  const first = numberOf('first_month', wish.first || wish.last || present);
  const last = numberOf('last_month', wish.last || wish.first || present);
  const count = last - first + 1;
  if (count < 1) {
    throw invalidArgument('last_month', `"${wish.last}" is before "${wish.first}"`, 'the first month or a later one');
  }
  if (count > MAX_MONTHS) {
    throw invalidArgument('last_month', `the range has ${count} months`, `a range of at most ${MAX_MONTHS}`);
  }
  const names = Array.from({ length: count }, (_, index) => monthOf(Date.UTC(0, first + index)));
  return { names, fromMs: Date.UTC(0, first), toMs: Date.UTC(0, last + 1) };
}

/** The month of UTC that a moment is in, `YYYY-MM`. */
export function monthOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 7);
}

/** Months since the beginning of 1900, which is year 0 of `Date.UTC`. */
function numberOf(field: string, text: string): number {
  const [, year, month] = MONTH.exec(text) ?? [];
  if (year === undefined) throw invalidArgument(field, `"${text}" is no month`, 'YYYY-MM, such as 2026-11');
  return (Number(year) - 1900) * 12 + Number(month) - 1;
}

/** What is summed up. */
export const USAGE_KINDS = [
  'cpuNanos',
  'memoryByteMillis',
  'networkReceiveBytes',
  'networkTransmitBytes',
  'diskReadBytes',
  'diskWriteBytes',
  'uptimeMs',
] as const;

/** Exact sums. */
export type Usage = Readonly<Record<(typeof USAGE_KINDS)[number], bigint>>;

/** Adds usage up. */
export function sumUsage(all: readonly Usage[]): Usage {
  const sum = (kind: keyof Usage): bigint => all.reduce((total, usage) => total + usage[kind], 0n);
  return Object.fromEntries(USAGE_KINDS.map((kind) => [kind, sum(kind)])) as Usage;
}

/** A whole number of small units as a decimal number of large ones, exact: 1500 of 1000 each is `1.5`. */
export function inUnits(amount: bigint, each: 1_000n | 1_000_000_000n): string {
  const digits = String(each).length - 1;
  const fraction = String(amount % each)
    .padStart(digits, '0')
    .replace(/0+$/, '');
  return fraction === '' ? String(amount / each) : `${amount / each}.${fraction}`;
}
