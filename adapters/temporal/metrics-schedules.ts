import { type Client, ScheduleOverlapPolicy } from '@temporalio/client';
import {
  type MetricsUpkeepInput,
  RETAIN_METRICS_EVERY_MS,
  RETAIN_METRICS_SCHEDULE,
  RETAIN_METRICS_WORKFLOW,
  ROLL_UP_EVERY_MS,
  ROLL_UP_SCHEDULE,
  ROLL_UP_WORKFLOW,
} from '../../contracts/metrics-upkeep.ts';
import { CONTROL_QUEUE } from '../../contracts/task-queues.ts';
import { ensureSchedule } from './schedules.ts';

/** A time that was missed is made good by the next one: what is due is in the database. The shortest that the server takes. */
const CATCH_UP_WINDOW = '10 seconds';

/** Makes the schedules of the upkeep of metrics, or brings them up to date. Safe to repeat, and by several at once. */
export async function ensureMetricsSchedules(client: Client, input: MetricsUpkeepInput): Promise<void> {
  const wanted = [
    { id: ROLL_UP_SCHEDULE, workflowType: ROLL_UP_WORKFLOW, every: ROLL_UP_EVERY_MS },
    { id: RETAIN_METRICS_SCHEDULE, workflowType: RETAIN_METRICS_WORKFLOW, every: RETAIN_METRICS_EVERY_MS },
  ];
  for (const { id, workflowType, every } of wanted) {
    await ensureSchedule(client, id, {
      spec: { intervals: [{ every }] },
      policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: CATCH_UP_WINDOW },
      action: { type: 'startWorkflow', workflowType, workflowId: id, taskQueue: CONTROL_QUEUE, args: [input] },
    });
  }
}
