import { ActivityCancellationType, log, proxyActivities } from '@temporalio/workflow';
import type {
  MetricsUpkeep,
  MetricsUpkeepInput,
  MetricsUpkeepTiming,
  UpkeepPage,
} from '../contracts/metrics-upkeep.ts';
import { CONTROL_QUEUE } from '../contracts/task-queues.ts';
import { toOperationFailure } from './failures.ts';

/**
 * Brings what was written elsewhere to the metrics database, and sums up the hours of which rows have come.
 *
 * The schedule starts one every five minutes, `roll-up-metrics-<time>`, and skips a time at which the last one goes on. Ends
 * when nothing is due. Keeps nothing: what is due is in the database, so a run that died is made good by the next.
 */
export async function rollUpMetrics({ timing }: MetricsUpkeepInput): Promise<void> {
  const upkeep = activities(timing);
  await inPages('moving', timing, upkeep.moveMetrics);
  await inPages('roll-up', timing, upkeep.rollUpMetrics);
}

/**
 * Removes metrics that nobody keeps any more. The schedule starts one every hour, `retain-metrics-<time>`, and skips a time
 * at which the last one goes on. What it has removed stays removed, however it ends.
 */
export async function retainMetrics({ timing }: MetricsUpkeepInput): Promise<void> {
  await inPages('retention', timing, activities(timing).retainMetrics);
}

function activities({ pageMs }: MetricsUpkeepTiming): MetricsUpkeep {
  return proxyActivities<MetricsUpkeep>({
    taskQueue: CONTROL_QUEUE,
    startToCloseTimeout: pageMs,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    // A database that is away is asked again by the next run.
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '10s', maximumAttempts: 4 },
  });
}

/** One part that fails does not keep the next from being done: rows may wait to be moved while hours are summed up. */
async function inPages(part: string, timing: MetricsUpkeepTiming, page: () => Promise<UpkeepPage>): Promise<void> {
  try {
    for (let pages = 0; pages < timing.maxPages; pages += 1) {
      if (!(await page()).hasMore) return;
    }
  } catch (error) {
    log.warn('a part of the upkeep of metrics was given up', { part, message: toOperationFailure(error).message });
  }
}
