import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createProcessRegistry } from './process-registry.ts';

it('counts a process, and looks at its event loop ten times a second at most', async () => {
  const registry = createProcessRegistry();
  await delay(450);
  const text = await registry.metrics();
  expect(text).toMatch(/^process_cpu_seconds_total \d/m);
  const shortest = Number(/^nodejs_eventloop_lag_min_seconds (\S+)$/m.exec(text)?.[1]);
  // The histogram has buckets, so the bound is a little lower.
  expect(shortest).toBeGreaterThan(0.09);
});
