import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createConflatingBuffer, type Delivery } from './conflating-buffer.ts';

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
    expect(buffer.take()).toEqual({ samples: newest, missedRounds: 5, rounds: 1 });
  });

  it('counts a look at the past for all the rounds that are in it', () => {
    const buffer = aBuffer(1);
    const past = [1, 2, 3].map((round) => ({ key: 'a', round }));
    buffer.offer({ samples: past, missedRounds: 0, rounds: 3 });
    buffer.offer({ samples: [{ key: 'a', round: 4 }], missedRounds: 0 });
    expect(buffer.take()).toEqual({ samples: [{ key: 'a', round: 4 }], missedRounds: 3, rounds: 1 });
  });

  it('ends with the newest of each key, never goes back, and carries what else is of the newest round', () => {
    const step = fc.record({ keys: fc.subarray(['a', 'b', 'c']), takes: fc.boolean() });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 60 }), (maxRounds, steps) => {
        const buffer = createConflatingBuffer<Item, Delivery<Item> & { tag: number }>({
          maxRounds,
          keyOf: ({ key }) => key,
        });
        const [offered, seen] = [new Map<string, number>(), new Map<string, number>()];
        let lastTag = 0;
        const take = (): void => {
          const delivery = buffer.take();
          if (!delivery) return;
          expect(delivery.tag).toBeGreaterThan(lastTag);
          lastTag = delivery.tag;
          for (const { key, round } of delivery.samples) {
            expect(round).toBeGreaterThan(seen.get(key) ?? 0);
            seen.set(key, round);
          }
        };
        steps.forEach(({ keys, takes }, index) => {
          const round = index + 1;
          for (const key of keys) offered.set(key, round);
          buffer.offer({ samples: keys.map((key) => ({ key, round })), missedRounds: 0, tag: round });
          if (takes) take();
        });
        while (buffer.size > 0) take();
        expect(seen).toEqual(offered);
        expect(lastTag).toBe(steps.length);
      }),
    );
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
