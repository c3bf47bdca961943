import { describe, expect, it } from 'vitest';
import { describeNumbers } from './number-ranges.ts';

describe('numbers in words', () => {
  it.each<[readonly number[], string]>([
    [[], 'none'],
    [[4], '4'],
    [[2, 1], '1 and 2'],
    [[1, 2, 3], '1 to 3'],
    [[25, 1, 3, 6, 7, 8, 8, 24], '1, 3, 6 to 8, 24 and 25'],
  ])('of %j are %s', (numbers, words) => {
    expect(describeNumbers(numbers)).toBe(words);
  });
});
