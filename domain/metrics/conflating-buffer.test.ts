import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createConflatingBuffer } from './conflating-buffer.ts';

interface Item {
  readonly key: string;
  readonly round: number;
}

function aBuffer(maxRounds: number) {
  return createConflatingBuffer<Item>({ maxRounds, keyOf: ({ key }) => key });
}

describe('a conflating buffer', () => {
  it('hands over round by round while the reader keeps up', () => {
    const buffer = aBuffer(2);
    for (const round of [1, 2]) buffer.offer({ samples: [{ key: 'a', round }], missedRounds: 0 });
    expect(buffer.take()?.samples).toEqual([{ key: 'a', round: 1 }]);
    expect(buffer.take()).toEqual({ samples: [{ key: 'a', round: 2 }], missedRounds: 0 });
    expect(buffer.take()).toBeUndefined();
  });

  it('keeps the newest of each key when it is full, and counts the rounds that this costs', () => {
    const buffer = aBuffer(2);
    buffer.offer({ samples: [{ key: 'gone', round: 1 }], missedRounds: 3 });
    buffer.offer({ samples: [{ key: 'a', round: 2 }], missedRounds: 0 });
    expect(buffer.offer({ samples: [{ key: 'a', round: 3 }], missedRounds: 0 })).toBe(true);
    const newest = [
      { key: 'gone', round: 1 },
      { key: 'a', round: 3 },
    ];
    expect(buffer.take()).toEqual({ samples: newest, missedRounds: 5 });
  });

  it('never holds more than its bound, and accounts for every round', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.boolean(), { maxLength: 100 }), (maxRounds, takes) => {
        const buffer = aBuffer(maxRounds);
        let [offered, delivered, missed] = [0, 0, 0];
        const take = (): void => {
          const delivery = buffer.take();
          delivered += delivery ? 1 : 0;
          missed += delivery?.missedRounds ?? 0;
        };
        for (const takesNow of takes) {
          offered += 1;
          buffer.offer({ samples: [{ key: 'a', round: offered }], missedRounds: 0 });
          expect(buffer.size).toBeLessThanOrEqual(maxRounds);
          if (takesNow) take();
        }
        while (buffer.size > 0) take();
        expect(delivered + missed).toBe(offered);
      }),
    );
  });
});
