import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureMetricsSchedules } from '../../adapters/temporal/metrics-schedules.ts';
import {
  RETAIN_METRICS_SCHEDULE,
  RETAIN_METRICS_WORKFLOW,
  ROLL_UP_SCHEDULE,
  ROLL_UP_WORKFLOW,
} from '../../contracts/metrics-upkeep.ts';
import { createFakeCluster } from '../support/fake-cluster.ts';
import { inTurn, keepMetrics, QUICK_UPKEEP } from '../support/kept-metrics.ts';
import { startWorkflowRig } from '../support/workflow-rig.ts';

let rig: Awaited<ReturnType<typeof startWorkflowRig>>;
beforeAll(async () => {
  rig = await startWorkflowRig();
}, 60_000);
afterAll(async () => await rig.stop());

function anUpkeep(
  changes: Partial<Record<'moveMetrics' | 'rollUpMetrics' | 'retainMetrics', (boolean | Error)[]>> = {},
) {
  const of = (name: keyof typeof changes) => inTurn(changes[name] ?? [false]);
  return { moveMetrics: of('moveMetrics'), rollUpMetrics: of('rollUpMetrics'), retainMetrics: of('retainMetrics') };
}

describe('the upkeep of metrics', { timeout: 120_000 }, () => {
  it('goes on page by page until nothing is left, and no further than it may in one run', async () => {
    const upkeep = anUpkeep({ moveMetrics: [true, true, false], rollUpMetrics: [true] });
    await keepMetrics(rig, [ROLL_UP_WORKFLOW], upkeep);
    expect(upkeep.moveMetrics.calls()).toBe(3);
    expect(upkeep.rollUpMetrics.calls()).toBe(QUICK_UPKEEP.timing.maxPages);
    expect(upkeep.retainMetrics.calls()).toBe(0);
  });

  it('sums up hours also while rows cannot be moved, and tries again what fails', async () => {
    const refused = ApplicationFailure.nonRetryable('refused');
    const upkeep = anUpkeep({ moveMetrics: [refused], rollUpMetrics: [new Error('away'), false] });
    await keepMetrics(rig, [ROLL_UP_WORKFLOW], upkeep);
    expect(upkeep.rollUpMetrics.calls()).toBe(2);
    await keepMetrics(rig, [RETAIN_METRICS_WORKFLOW], upkeep);
    expect(upkeep.retainMetrics.calls()).toBe(1);
  });

  it('is what its schedules start, also when they are made twice', async () => {
    for (const _ of [1, 2]) await ensureMetricsSchedules(rig.client, QUICK_UPKEEP);
    const upkeep = anUpkeep();
    const handles = [ROLL_UP_SCHEDULE, RETAIN_METRICS_SCHEDULE].map((id) => rig.client.schedule.getHandle(id));
    const run = async (): Promise<void> => {
      for (const handle of handles) {
        await handle.trigger();
        await expect.poll(async () => (await handle.describe()).info.recentActions.length, { timeout: 30_000 }).toBe(1);
      }
      await expect
        .poll(() => [upkeep.rollUpMetrics.calls(), upkeep.retainMetrics.calls()], { timeout: 30_000 })
        .toEqual([1, 1]);
    };
    await rig.withCluster(createFakeCluster(), run, upkeep);
    for (const handle of handles) await handle.delete();
  });
});
