import { expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';
import { createProcessRegistry } from './process-registry.ts';

it('counts a process, and looks at its event loop ten times a second at most', async () => {
  const registry = createProcessRegistry();
  expect(await registry.metrics()).toMatch(/^process_cpu_seconds_total \d/m);
  const look = async (): Promise<number> => {
    const seconds = Number(/^nodejs_eventloop_lag_min_seconds (\S+)$/m.exec(await registry.metrics())?.[1]);
    // Each reading begins anew, and before the first two looks it is beyond any time.
    expect(seconds).toBeLessThan(60);
    return seconds;
  };
  const shortest = await eventually(look, { everyMs: 300 });
  // The histogram has buckets, so the bound is a little lower.
  expect(shortest).toBeGreaterThan(0.09);
});
