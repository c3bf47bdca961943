import { describe, expect, it } from 'vitest';
import {
  NOTHING_OBSERVED,
  OPERATOR_KEYS,
  parseObservability,
  parseStorageTrouble,
  sumObservability,
  toOperatorAnswer,
} from './observability.ts';

describe('what operators read', () => {
  it('has the 24 keys of the original platform', () => {
    expect(OPERATOR_KEYS).toHaveLength(24);
    expect(Object.keys(NOTHING_OBSERVED)).toEqual(expect.arrayContaining([...OPERATOR_KEYS]));
  });

  it('sums the nodes, and shows the worst state and the newest time of any', () => {
    const a = { ...NOTHING_OBSERVED, collection_count: 2, last_storage_time: '2026-01-01T00:00:00.000Z' };
    const b = { ...NOTHING_OBSERVED, collection_count: 3, healthy: false, circuit_breaker_state: 1 };
    expect(sumObservability([a, b])).toEqual({
      ...NOTHING_OBSERVED,
      collection_count: 5,
      healthy: false,
      circuit_breaker_state: 1,
      last_storage_time: '2026-01-01T00:00:00.000Z',
    });
  });

  it('reads another streamer without trusting it', () => {
    const read = parseObservability({ collection_count: '7', healthy: false, last_storage_time: 'x', other: 1 });
    expect(read).toEqual({ ...NOTHING_OBSERVED, healthy: false, last_storage_time: 'x' });
    expect(parseObservability(null)).toEqual(NOTHING_OBSERVED);
  });
});

describe('the answer to operators', () => {
  it('has the 24 keys and no others, whatever else a streamer says', () => {
    expect(new Set(OPERATOR_KEYS).size).toBe(24);
    const more = { ...NOTHING_OBSERVED, storage: { spoolAgeSeconds: 1, rowsDropped: 2 }, something: 'else' };
    expect(Object.keys(toOperatorAnswer(more))).toEqual([...OPERATOR_KEYS]);
  });

  it('does not hold how rows wait, which is read apart and is nothing where nobody says', () => {
    expect(parseStorageTrouble({ storage: { spoolAgeSeconds: 7, rowsDropped: 3 } })).toEqual({
      ...{ spoolAgeSeconds: 7, rowsDropped: 3 },
    });
    for (const said of [null, {}, { storage: 'x' }, { storage: { spoolAgeSeconds: 'old' } }]) {
      expect(parseStorageTrouble(said)).toEqual({ spoolAgeSeconds: null, rowsDropped: 0 });
    }
  });
});
