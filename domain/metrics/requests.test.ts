import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planSteps } from './query.ts';
import { drawRequests } from './request-course.ts';
import {
  addRequests,
  LATENCY_BOUNDS_MS,
  latencyAt,
  NO_REQUESTS,
  type RequestCounters,
  requestsSince,
} from './requests.ts';

/** What an ingress counts for answers that took so long. */
function counted(latenciesMs: readonly number[]): RequestCounters {
  const upTo = (bound: number): number => latenciesMs.filter((ms) => ms <= bound).length;
  return {
    ...NO_REQUESTS,
    requests: latenciesMs.length,
    status2xx: latenciesMs.length,
    bytesOut: 10 * latenciesMs.length,
    latencyBuckets: [...LATENCY_BOUNDS_MS, Number.POSITIVE_INFINITY].map(upTo),
    latencySumMicros: latenciesMs.reduce((sum, ms) => sum + ms * 1000, 0),
  };
}

const latency = fc.nat(20_000);

describe('counts of requests', () => {
  it('add up to what the ingress counted, over looks, and when it forgets and begins anew', () => {
    const step = fc.record({ answers: fc.array(latency, { maxLength: 5 }), forgets: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let [before, now, sum, all] = [NO_REQUESTS, NO_REQUESTS, NO_REQUESTS, NO_REQUESTS];
        for (const { answers, forgets } of steps) {
          // That it began anew shows when it then has counted less.
          const begins = forgets && answers.length < now.requests;
          const added = counted(answers);
          now = begins ? added : addRequests(now, added);
          all = addRequests(all, added);
          sum = addRequests(sum, requestsSince(before, now));
          before = now;
        }
        expect(sum).toEqual(all);
      }),
    );
  });

  it('tell a percentile within the bucket that it lies in', () => {
    fc.assert(
      fc.property(
        fc.array(latency, { minLength: 1, maxLength: 50 }),
        fc.integer({ min: 1, max: 100 }),
        (given, percent) => {
          const exact = given.toSorted((a, b) => a - b)[Math.ceil((percent / 100) * given.length) - 1] ?? 0;
          const [above = 5_000] = LATENCY_BOUNDS_MS.filter((bound) => bound >= exact);
          const below = LATENCY_BOUNDS_MS.filter((bound) => bound < exact).at(-1) ?? 0;
          const told = latencyAt(counted(given), percent / 100) ?? Number.NaN;
          expect(told).toBeGreaterThanOrEqual(Math.min(below, 5_000));
          expect(told).toBeLessThanOrEqual(above);
        },
      ),
    );
  });

  it('have no percentile when there were none', () => {
    expect(latencyAt(NO_REQUESTS, 0.5)).toBeNull();
  });

  it('become steps that add up over ingresses, with gaps where none told anything', () => {
    const nowMs = 1_000 * 60_000;
    const steps = planSteps({ startMs: nowMs - 180_000, endMs: nowMs, resolution: 'minute' }, nowMs, {
      live: 300_000,
      minute: 86_400_000,
    });
    const row = (atMs: number, answers: number[]) => ({ ...counted(answers), atMs });
    const drawn = drawRequests(
      [row(steps.startMs, [1]), row(steps.startMs, [2, 3]), row(steps.startMs + 120_000, [])],
      steps,
    );
    expect(drawn.map(({ counters }) => counters?.requests ?? null)).toEqual([3, null, 0]);
  });
});
