import { describe, expect, it } from 'vitest';
import { aSample } from '../test/support/samples.ts';
import { createLiveCache } from './live-cache.ts';

const DEPLOYMENT = aSample().deploymentId;
const LIMITS = { retentionMs: 300_000, intervalMs: 5_000, maxPerDeployment: 1_000 };

function filled(rounds: number, containers: number, limits = LIMITS) {
  const cache = createLiveCache(limits);
  for (let round = 1; round <= rounds; round += 1) {
    const atMs = round * 5_000;
    const ids = Array.from({ length: containers }, (_, index) => `container ${index}`);
    cache.add(
      ids.map((containerId) => aSample({ round, atMs, containerId })),
      atMs,
    );
  }
  return cache;
}

describe('the live cache', () => {
  it('keeps five minutes and no more', () => {
    const cache = filled(200, 1);
    expect(cache.size()).toBe(60);
    expect(cache.since(DEPLOYMENT, 0)[0]?.round).toBe(141);
  });

  it('keeps a thousand samples of a deployment, the newest of all its containers', () => {
    const cache = filled(60, 20);
    expect(cache.size()).toBe(1_000);
    const rounds = cache.since(DEPLOYMENT, 0).map(({ round }) => round);
    expect(Math.min(...rounds)).toBe(11);
    expect(rounds).toEqual([...rounds].sort((a, b) => a - b));
  });

  it('answers with what was taken after a moment, and with the newest of each container', () => {
    const cache = filled(10, 2);
    expect(cache.since(DEPLOYMENT, 40_000).map(({ round }) => round)).toEqual([9, 9, 10, 10]);
    expect(cache.latest(DEPLOYMENT).map(({ round }) => round)).toEqual([10, 10]);
    expect(cache.latest('another')).toEqual([]);
  });

  it('forgets containers that have gone', () => {
    const cache = filled(10, 2);
    cache.add([], 10_000_000);
    expect(cache.size()).toBe(0);
  });
});
