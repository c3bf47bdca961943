import { describe, expect, it } from 'vitest';
import { assertMinutesGoFirst, periodsInForce, toKeepHours } from './retention.ts';

const HOUR_MS = 3_600_000;
const PLATFORM = { minutesMs: 24 * HOUR_MS, hoursMs: 9600 * HOUR_MS };

describe('a period of metrics', () => {
  it.each([
    ['metrics_minutes', 1],
    ['metrics_minutes', 720],
    ['metrics_hours', 87_600],
  ] as const)('of %s may have %d hours', (kind, hours) => {
    expect(toKeepHours(kind, hours * HOUR_MS)).toBe(hours);
  });

  it.each([
    ['metrics_minutes', 721 * HOUR_MS, 'minutes: found 721 hours; allowed is whole hours from 1 to 720'],
    ['metrics_minutes', 0, 'minutes: found 0 hours'],
    ['metrics_hours', -HOUR_MS, 'hours: found -1 hours'],
    ['metrics_hours', 5_400_000, 'hours: found 5400 seconds; allowed is whole hours from 1 to 87600'],
    ['metrics_hours', 87_601 * HOUR_MS, 'hours: found 87601 hours'],
    ['metrics_hours', Number.NaN, 'hours: found NaN seconds'],
  ] as const)('of %s may not have %d ms', (kind, ms, message) => {
    expect(() => toKeepHours(kind, ms)).toThrow(message);
  });

  it("is the organization's own, or else the platform's", () => {
    expect(periodsInForce({}, PLATFORM)).toEqual(PLATFORM);
    expect(periodsInForce({ metrics_minutes: 48 }, PLATFORM)).toEqual({ ...PLATFORM, minutesMs: 48 * HOUR_MS });
  });

  it('lets no hour go before its minutes, whichever of the two is changed', () => {
    expect(() => assertMinutesGoFirst({ metrics_hours: 24 }, PLATFORM)).not.toThrow();
    expect(() => assertMinutesGoFirst({ metrics_hours: 23 }, PLATFORM)).toThrow(
      'hours: minutes would be kept for 24 hours and hours for 23 hours; allowed is hours that are kept for as long',
    );
    const short = { ...PLATFORM, hoursMs: 100 * HOUR_MS };
    expect(() => assertMinutesGoFirst({ metrics_minutes: 101 }, short)).toThrow('minutes: minutes would be kept for');
  });
});
