import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inUnits, MAX_MONTHS, planMonths, sumUsage } from './monthly-usage.ts';

const NOW_MS = Date.UTC(2026, 10, 27, 1);

describe('a range of months', () => {
  it.each([
    ['', '', ['2026-11']],
    ['2026-02', '', ['2026-02']],
    ['', '2024-12', ['2024-12']],
    ['2025-11', '2026-02', ['2025-11', '2025-12', '2026-01', '2026-02']],
  ])('from "%s" to "%s" is %j', (first, last, names) => {
    const months = planMonths({ first, last }, NOW_MS);
    expect(months.names).toEqual(names);
    expect(new Date(months.fromMs).toISOString()).toBe(`${names[0]}-01T00:00:00.000Z`);
  });

  it('ends with the first moment of the month after it', () => {
    expect(planMonths({ first: '2026-12', last: '' }, NOW_MS).toMs).toBe(Date.UTC(2027, 0));
    expect(planMonths({ first: '2024-02', last: '' }, NOW_MS).toMs).toBe(Date.UTC(2024, 2));
  });

  it.each([
    ['2026-13', '', 'first_month: "2026-13" is no month; allowed is YYYY-MM, such as 2026-11'],
    ['2026-1', '', 'first_month: "2026-1" is no month'],
    ['2026-01', '2026-00', 'last_month: "2026-00" is no month'],
    ['2026-02', '2026-01', 'last_month: "2026-01" is before "2026-02"'],
    ['2020-01', '2026-01', 'last_month: the range has 73 months; allowed is a range of at most 36'],
    ['1999-12', '', 'first_month: "1999-12" is no month'],
  ])('from "%s" to "%s" is refused', (first, last, message) => {
    expect(() => planMonths({ first, last }, NOW_MS)).toThrow(message);
  });

  it('may have as many months as are allowed', () => {
    expect(planMonths({ first: '2023-12', last: '2026-11' }, NOW_MS).names).toHaveLength(MAX_MONTHS);
  });
});

describe('usage', () => {
  it('is summed up exactly, beyond what a double holds', () => {
    const usage = {
      ...{ cpuNanos: 2n ** 80n + 1n, memoryByteMillis: 2n ** 53n + 1n, uptimeMs: 1n, diskReadBytes: 0n },
      ...{ networkReceiveBytes: 3n, networkTransmitBytes: 0n, diskWriteBytes: 0n },
    };
    expect(sumUsage([usage, usage])).toMatchObject({ cpuNanos: 2n ** 81n + 2n, memoryByteMillis: 2n ** 54n + 2n });
    expect(sumUsage([])).toMatchObject({ cpuNanos: 0n, uptimeMs: 0n });
  });

  it('is told in large units without losing any', () => {
    expect(inUnits(1_500n, 1_000n)).toBe('1.5');
    expect(inUnits(0n, 1_000n)).toBe('0');
    expect(inUnits(1n, 1_000_000_000n)).toBe('0.000000001');
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 100n }), (amount) => {
        const [whole = '', fraction = ''] = inUnits(amount, 1_000n).split('.');
        expect(BigInt(whole + fraction.padEnd(3, '0'))).toBe(amount);
      }),
    );
  });
});
