import { type Client, ScheduleAlreadyRunning, type ScheduleOptions, ScheduleOverlapPolicy } from '@temporalio/client';
import { ALERTS_SCHEDULE, EVALUATE_ALERTS_WORKFLOW, type EvaluateInput } from '../../contracts/alerts.ts';
import { RECONCILE_SCHEDULE, RECONCILE_WORKFLOW, type ReconcileInput } from '../../contracts/reconcile.ts';
import { RETENTION_DUE_WORKFLOW, RETENTION_SCHEDULE, type RetentionDueInput } from '../../contracts/retention.ts';
import { CONTROL_QUEUE } from '../../contracts/task-queues.ts';

/** Scatters installations that share a registry, or a host, over half an hour. */
const JITTER = '30 minutes';

/**
 * Time after the hour at which a run that was missed is still begun: an installation that is up during the day only has
 * its run in the morning.
 */
const CATCH_UP_WINDOW = '12 hours';

/** The shortest that the server takes. */
const SHORTEST_WINDOW = '10 seconds';

/**
 * Makes the schedule of retention, or brings it up to date: once a day at an hour of UTC. Safe to repeat, and by several
 * at once. A schedule that somebody has paused stays paused.
 */
export async function ensureRetentionSchedule(
  client: Client,
  { hour, ...input }: RetentionDueInput & { readonly hour: number },
): Promise<void> {
  await ensureSchedule(client, RETENTION_SCHEDULE, {
    spec: { calendars: [{ hour }], jitter: JITTER, timezone: 'UTC' },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: CATCH_UP_WINDOW },
    action: {
      type: 'startWorkflow',
      workflowType: RETENTION_DUE_WORKFLOW,
      workflowId: RETENTION_SCHEDULE,
      taskQueue: CONTROL_QUEUE,
      args: [input],
    },
  });
}

/**
 * Makes the schedule of the reconciliation, or brings it up to date: every so many milliseconds. A time that was missed
 * is made good by the next one, so none is caught up with. Safe to repeat, and by several at once. A schedule that
 * somebody has paused stays paused.
 */
export async function ensureReconcileSchedule(
  client: Client,
  { everyMs, ...input }: ReconcileInput & { readonly everyMs: number },
): Promise<void> {
  await ensureSchedule(client, RECONCILE_SCHEDULE, {
    spec: { intervals: [{ every: everyMs }] },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: SHORTEST_WINDOW },
    action: {
      type: 'startWorkflow',
      workflowType: RECONCILE_WORKFLOW,
      workflowId: RECONCILE_SCHEDULE,
      taskQueue: CONTROL_QUEUE,
      args: [input],
    },
  });
}

/**
 * Makes the schedule of the alerts, or brings it up to date. A time that was missed is made good by the next one. Safe to
 * repeat, and by several at once. A schedule that somebody has paused stays paused.
 */
export async function ensureAlertsSchedule(
  client: Client,
  { everyMs, ...input }: EvaluateInput & { readonly everyMs: number },
): Promise<void> {
  await ensureSchedule(client, ALERTS_SCHEDULE, {
    spec: { intervals: [{ every: everyMs }] },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: SHORTEST_WINDOW },
    action: {
      type: 'startWorkflow',
      workflowType: EVALUATE_ALERTS_WORKFLOW,
      workflowId: ALERTS_SCHEDULE,
      taskQueue: CONTROL_QUEUE,
      args: [input],
    },
  });
}

/** Makes a schedule, or brings it up to date. One that somebody has paused stays paused. */
export async function ensureSchedule(
  client: Client,
  scheduleId: string,
  wanted: Pick<ScheduleOptions, 'spec' | 'policies' | 'action'>,
): Promise<void> {
  try {
    await client.schedule.create({ ...wanted, scheduleId });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    const handle = client.schedule.getHandle(scheduleId);
    await handle.update(({ state: { paused, note } }) => ({ ...wanted, state: { paused, ...(note ? { note } : {}) } }));
  }
}
