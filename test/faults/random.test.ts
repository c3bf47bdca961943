import { describe, expect, it } from 'vitest';
import { chooseSeed, createRandom } from './random.ts';

const ITEMS = Array.from({ length: 20 }, (_, index) => index);

describe('a seeded source', () => {
  it('gives the same again for the same seed, and something else for another', () => {
    const draw = (seed: string) => ITEMS.map(createRandom(seed).next);
    expect(draw('a')).toEqual(draw('a'));
    expect(draw('a')).not.toEqual(draw('b'));
    expect(draw('a').every((number) => number >= 0 && number < 1)).toBe(true);
  });

  it('gives each part numbers that do not depend on the others', () => {
    const random = createRandom('a');
    const before = random.fork('part').next();
    random.next();
    expect(random.fork('part').next()).toBe(before);
    expect(random.fork('other').next()).not.toBe(before);
  });

  it('samples without repetition and in order', () => {
    const sample = createRandom('a').sample(ITEMS, 5);
    expect(new Set(sample).size).toBe(5);
    expect(sample).toEqual(sample.toSorted((one, other) => one - other));
    expect(createRandom('a').sample([1, 2], 5)).toEqual([1, 2]);
  });
});

describe('the seed of a run', () => {
  it('is the one that was given, and a new one each time otherwise', () => {
    expect(chooseSeed({ FAULT_SEED: 'again' })).toBe('again');
    expect(chooseSeed({})).not.toBe(chooseSeed({}));
  });
});
