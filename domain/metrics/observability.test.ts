import { describe, expect, it } from 'vitest';
import { NOTHING_OBSERVED, parseObservability, sumObservability } from './observability.ts';

describe('what operators read', () => {
  it('has the 24 keys of the original platform', () => {
    expect(Object.keys(NOTHING_OBSERVED)).toHaveLength(24);
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
