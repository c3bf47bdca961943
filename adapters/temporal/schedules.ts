import { type Client, ScheduleAlreadyRunning, type ScheduleOptions, ScheduleOverlapPolicy } from '@temporalio/client';
import { RETENTION_DUE_WORKFLOW, RETENTION_SCHEDULE, type RetentionDueInput } from '../../contracts/retention.ts';
import { CONTROL_QUEUE } from '../../contracts/task-queues.ts';

/** Scatters installations that share a registry, or a host, over half an hour. */
const JITTER = '30 minutes';

/**
 * Time after the hour at which a run that was missed is still begun: an installation that is up during the day only has
 * its run in the morning.
 */
const CATCH_UP_WINDOW = '12 hours';

/**
 * Makes the schedule of retention, or brings it up to date: once a day at an hour of UTC. Safe to repeat, and by several
 * at once. A schedule that somebody has paused stays paused.
 */
export async function ensureRetentionSchedule(
  client: Client,
  { hour, ...input }: RetentionDueInput & { readonly hour: number },
): Promise<void> {
  const wanted: Pick<ScheduleOptions, 'spec' | 'policies' | 'action'> = {
    spec: { calendars: [{ hour }], jitter: JITTER, timezone: 'UTC' },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: CATCH_UP_WINDOW },
    action: {
      type: 'startWorkflow',
      workflowType: RETENTION_DUE_WORKFLOW,
      workflowId: RETENTION_SCHEDULE,
      taskQueue: CONTROL_QUEUE,
      args: [input],
    },
  };
  try {
    await client.schedule.create({ ...wanted, scheduleId: RETENTION_SCHEDULE });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    const handle = client.schedule.getHandle(RETENTION_SCHEDULE);
    await handle.update(({ state: { paused, note } }) => ({ ...wanted, state: { paused, ...(note ? { note } : {}) } }));
  }
}
