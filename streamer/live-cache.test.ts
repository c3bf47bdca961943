import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { COUNTER_NAMES } from '../domain/metrics/counters.ts';
import type { Counters } from '../domain/metrics/reading.ts';
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

  it('gives back every number that was put in, to the last digit', () => {
    const cache = createLiveCache(LIMITS);
    const counters = Object.fromEntries(
      COUNTER_NAMES.map((name, index) => [name, Number.MAX_SAFE_INTEGER - index]),
    ) as unknown as Counters;
    const { incarnation: _, source: __, clockMs: ___, ...sample } = aSample({ counters, cpuPercent: 12.5, pids: 7 });
    cache.add([sample, { ...sample, round: 2, cpuPercent: null }], sample.atMs);
    expect(cache.since(DEPLOYMENT, 0)).toEqual([sample, { ...sample, round: 2, cpuPercent: null }]);
  });

  it('takes as much memory as is written down, full or not, however long it runs', () => {
    const containers = 1_000;
    setFlagsFromString('--expose_gc');
    const collect = runInNewContext('gc') as () => void;
    const used = (): { rings: number; rest: number } => {
      collect();
      const { arrayBuffers, heapUsed } = process.memoryUsage();
      return { rings: arrayBuffers, rest: heapUsed };
    };
    const before = used();
    const cache = createLiveCache(LIMITS);
    for (let round = 1; round <= 130; round += 1) {
      const samples = Array.from({ length: containers }, (_, index) =>
        aSample({ round, atMs: round * 5_000, containerId: `${index}`.padStart(64, 'c'), deploymentId: `${index}` }),
      );
      cache.add(samples, round * 5_000);
    }
    const after = used();
    // As docs/metrics.md says: 60 rows of 21 numbers of 8 bytes.
    expect(cache.bytesPerContainer).toBe(10_080);
    expect((after.rings - before.rings) / containers).toBeLessThan(10_080 * 1.02);
    expect((after.rest - before.rest) / containers).toBeLessThan(4_000);
    expect(cache.containers()).toBe(containers);
    expect(cache.size()).toBe(60 * containers);
  });
});
