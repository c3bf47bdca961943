import { describe, expect, it } from 'vitest';
import { parseBytes, parseCores, parseDuration, parseWhole, showBytes, showSpan } from './quantities.ts';

describe('sizes', () => {
  it.each([
    ['256MiB', 268_435_456n],
    ['1.5GiB', 1_610_612_736n],
    ['512m', 536_870_912n],
    ['1GB', 1_000_000_000n],
    ['6291456', 6_291_456n],
    [' 2 KiB ', 2048n],
  ])('reads %s', (text, bytes) => {
    expect(parseBytes('--memory', text)).toBe(bytes);
  });

  it.each(['', 'lots', '-1MiB', '1XiB', '1e9', 'MiB', '9'.repeat(30)])('refuses %j, naming the option', (text) => {
    expect(() => parseBytes('--memory', text)).toThrow(/--memory: .* is not a size/);
  });

  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1536, '1.5 KiB'],
    [268_435_456n, '256 MiB'],
    [1_073_741_824, '1.0 GiB'],
  ])('shows %s as %s', (bytes, text) => {
    expect(showBytes(bytes)).toBe(text);
  });
});

describe('other quantities', () => {
  it('reads durations with a unit and nothing else', () => {
    expect(['500ms', '5s', '2m', '1h'].map((text) => parseDuration('--timeout', text))).toEqual([
      500, 5000, 120_000, 3_600_000,
    ]);
    expect(() => parseDuration('--timeout', '5')).toThrow('--timeout: "5" is not a duration');
  });

  it.each(['1.5', 'x', '', '10001', '-1', '0x10'])('refuses %j replicas and says what is allowed', (text) => {
    expect(() => parseWhole('--replicas', text, { min: 0, max: 10_000 })).toThrow(
      'allowed are whole numbers from 0 to 10000',
    );
  });

  it('reads cores as a plain number above zero', () => {
    expect(parseCores('--cpu', '0.5')).toBe(0.5);
    for (const text of ['0', '-1', '50%', 'NaN']) expect(() => parseCores('--cpu', text)).toThrow('--cpu');
  });

  it('shows a time span in its largest whole unit', () => {
    expect([0, 59_999, 60_000, 7_200_000, 200_000_000].map(showSpan)).toEqual(['0 s', '59 s', '1 min', '2 h', '2 d']);
  });
});
