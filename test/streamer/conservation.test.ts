import { expect, it } from 'vitest';
import { aScale, differences } from '../support/conservation-table.ts';
import { conserve } from './conservation.ts';

const BOTH = [
  { where: 'on the disk', standsIn: false },
  { where: 'in the database that stands in', standsIn: true },
];

it.each(BOTH)(
  'stores what the kernel counted over kills, restarts, a crash and an outage; rows wait $where',
  {
    timeout: 240_000,
  },
  async ({ standsIn }) => {
    const found = await conserve(aScale('short', { standsIn }));
    const { cpuNanos, cpuUserNanos, cpuSystemNanos, cpuThrottledNanos, ...exact } = differences(found);
    expect(found).toMatchObject({ doubled: 0, dropped: 0 });
    expect(new Set(Object.values(exact)), JSON.stringify(found)).toEqual(new Set([0]));
    // From the last reading before the restart to the end of that run.
    for (const lost of [cpuNanos, cpuUserNanos, cpuSystemNanos]) expect(Math.abs(lost ?? 0)).toBeLessThan(100_000_000);
    // Some kernels count nothing of their disks for any cgroup; then there is nothing to lose.
    expect(found.expected.networkReceiveBytes).toBeGreaterThan(10_000);
    expect(standsIn ? found.stoodIn : found.spooled).toBeGreaterThan(5);
    expect(found.stoodInLater).toBe(0);
    if (standsIn) expect(found.seenMeanwhile).toEqual({ rows: expect.any(Number), doubled: 0 });
    // Those of the eight "minutes" before the outage, and those in it.
    if (standsIn) expect(found.seenMeanwhile?.rows).toBeGreaterThan(found.stoodIn + 5);
  },
);
