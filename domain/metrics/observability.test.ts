import { describe, expect, it } from 'vitest';
import {
  NOTHING_OBSERVED,
  OPERATOR_KEYS,
  parseObservability,
  sumObservability,
  toOperatorAnswer,
} from './observability.ts';

describe('what operators read', () => {
  it('has the 24 keys of the original platform first, and its own behind them', () => {
    expect(OPERATOR_KEYS).toHaveLength(24);
    const keys = Object.keys(NOTHING_OBSERVED);
    expect(keys).toEqual(expect.arrayContaining([...OPERATOR_KEYS]));
    expect(keys.indexOf('last_health_check_time')).toBe(23);
    expect(keys).toContain('degradation_level');
  });

  it('shows how far the most strained node has stepped back', () => {
    const nodes = [0, 2, 1].map((level) => ({ ...NOTHING_OBSERVED, degradation_level: level }));
    expect(sumObservability(nodes).degradation_level).toBe(2);
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
  it('has the 24 keys and our own behind them, whatever else a streamer says', () => {
    expect(new Set(OPERATOR_KEYS).size).toBe(24);
    const more = { ...NOTHING_OBSERVED, storage: { spoolAgeSeconds: 1, rowsDropped: 2 }, something: 'else' };
    const keys = Object.keys(toOperatorAnswer(more));
    expect(keys.slice(0, 24)).toEqual([...OPERATOR_KEYS]);
    expect(keys).toEqual(Object.keys(NOTHING_OBSERVED));
  });
});
