import { describe, expect, it } from 'vitest';
import { createPace, openStrainGauge } from './pace.ts';

const CALM = { loopLagMs: 0, memoryShare: 0.1 };

describe('the pace', () => {
  it('widens while rounds do not get through, and comes back when they do', () => {
    const pace = createPace({ normalMs: 5_000, gauge: { take: () => CALM, close: () => undefined } });
    expect([pace.intervalMs(), pace.deadlineMs(), pace.level()]).toEqual([5_000, 4_500, 0]);
    for (const _ of [1, 2, 3, 4]) pace.sawRound({ readMs: 4_400, unbegun: 3 });
    expect([pace.intervalMs(), pace.deadlineMs(), pace.level()]).toEqual([20_000, 18_000, 2]);
    for (let round = 0; round < 12; round += 1) pace.sawRound({ readMs: 5, unbegun: 0 });
    expect([pace.intervalMs(), pace.level()]).toEqual([5_000, 0]);
  });

  it('does not widen for a container that hangs', () => {
    const pace = createPace({ normalMs: 5_000, gauge: { take: () => CALM, close: () => undefined } });
    for (let round = 0; round < 100; round += 1) pace.sawRound({ readMs: 20, unbegun: 0 });
    expect(pace.level()).toBe(0);
  });

  it('notices an event loop that is held up', async () => {
    const gauge = openStrainGauge();
    await new Promise((resolve) => setTimeout(resolve, 120));
    gauge.take();
    const until = performance.now() + 400;
    while (performance.now() < until);
    await new Promise((resolve) => setTimeout(resolve, 60));
    const { loopLagMs, memoryShare } = gauge.take();
    gauge.close();
    expect(loopLagMs).toBeGreaterThan(250);
    expect(memoryShare).toBeGreaterThan(0);
    expect(memoryShare).toBeLessThan(1);
  });
});
