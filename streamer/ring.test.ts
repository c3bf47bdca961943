import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRing } from './ring.ts';

describe('a ring', () => {
  it('is a list that forgets its oldest rows, whatever is pushed and dropped', () => {
    const step = fc.option(fc.array(fc.double({ noNaN: true }), { minLength: 2, maxLength: 2 }), { nil: null });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step, { maxLength: 80 }), (rows, steps) => {
        const ring = createRing({ rows, columns: 2 });
        let list: number[][] = [];
        for (const row of steps) {
          if (row) ring.push(row);
          else ring.shift();
          list = row ? [...list, row].slice(-rows) : list.slice(1);
          expect(ring.size).toBe(list.length);
          list.forEach((wanted, index) => {
            expect([ring.at(index, 0), ring.at(index, 1)]).toEqual(wanted);
          });
          expect(ring.at(list.length, 0)).toBeNaN();
        }
      }),
    );
  });

  it('takes no row of another width', () => {
    expect(() => createRing({ rows: 1, columns: 2 }).push([1])).toThrow('2 values');
  });
});
