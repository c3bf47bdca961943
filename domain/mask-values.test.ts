import fc from 'fast-check';
import { expect, it } from 'vitest';
import { maskValues } from './mask-values.ts';

it('leaves no value of four characters or more, wherever it stands', () => {
  const value = fc.string({ minLength: 4 }).filter((text) => !text.includes('*') && !/^\s|\s$|[\r\n]/.test(text));
  fc.assert(
    fc.property(fc.array(value), fc.string(), (values, around) => {
      const masked = maskValues(values.map((one) => around + one).join('\n'), values);
      for (const one of values) expect(masked.includes(one)).toBe(false);
    }),
  );
});

it('blanks the lines of a value of several lines one by one', () => {
  expect(maskValues('read: second line', ['first line\nsecond line'])).toBe('read: ***');
});

it('blanks the longer of two values that share a beginning', () => {
  expect(maskValues('hunter22', ['hunter', 'hunter22'])).toBe('***');
});

it('leaves values too short to tell anything', () => {
  expect(maskValues('exit code 1', ['1', ''])).toBe('exit code 1');
});
