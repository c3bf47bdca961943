import { expect, it } from 'vitest';
import { aScale, differences } from '../support/conservation-table.ts';
import { conserve } from './conservation.ts';

it('stores what the kernel counted: over kills, restarts, a crash of the database and an outage', {
  timeout: 240_000,
}, async () => {
  const found = await conserve(aScale('short'));
  const { cpuNanos, cpuUserNanos, cpuSystemNanos, cpuThrottledNanos, ...exact } = differences(found);
  expect(found).toMatchObject({ doubled: 0, dropped: 0 });
  expect(new Set(Object.values(exact)), JSON.stringify(found)).toEqual(new Set([0]));
  // From the last reading before the restart to the end of that run.
  for (const lost of [cpuNanos, cpuUserNanos, cpuSystemNanos]) expect(Math.abs(lost ?? 0)).toBeLessThan(100_000_000);
  // Some kernels count nothing of their disks for any cgroup; then there is nothing to lose.
  expect(found.expected.networkReceiveBytes).toBeGreaterThan(10_000);
  expect(found.spooled).toBeGreaterThan(5);
});
