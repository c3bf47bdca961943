import { describe, expect, it } from 'vitest';
import { createRestartCount } from './restart-count.ts';

describe('the restarts of a service', () => {
  it('are counted over all that its swarm has forgotten by now', () => {
    const restarts = createRestartCount();
    const counts = [[], ['a'], ['a', 'b'], ['b', 'c'], ['c', 'd'], ['d', 'e', 'f']].map((ended) =>
      restarts.count('s', ended),
    );
    expect(counts).toEqual([0, 1, 2, 3, 4, 6]);
    expect(restarts.count('another', ['a'])).toBe(1);
  });

  it('are the same however often, and in whatever order, one looks', () => {
    const restarts = createRestartCount();
    for (const ended of [['a', 'b'], ['a'], ['b'], ['a', 'b']]) restarts.count('s', ended);
    expect(restarts.count('s', ['b'])).toBe(2);
  });

  it('are forgotten with the service', () => {
    const restarts = createRestartCount();
    restarts.count('s', ['a', 'b']);
    restarts.forget('s');
    expect(restarts.count('s', ['b'])).toBe(1);
  });
});
