import { randomUUID } from 'node:crypto';
import { toApplicationFailure } from '../../activities/failures.ts';
import { startWorker } from '../../adapters/temporal/worker.ts';
import {
  type AlertActivities,
  DELIVER_WORKFLOW,
  type DeliveryActivities,
  type DeliveryTiming,
  deliverWorkflowId,
  EVALUATE_ALERTS_WORKFLOW,
  type ObserverActivities,
} from '../../contracts/alerts.ts';
import { CONTROL_QUEUE, OBSERVERS_QUEUE } from '../../contracts/task-queues.ts';
import { DomainError } from '../../domain/errors.ts';
import type { startWorkflowRig } from './workflow-rig.ts';

type Rig = Awaited<ReturnType<typeof startWorkflowRig>>;

/** Pauses of milliseconds; the patience is that of a busy machine. */
export const QUICK_DELIVERY: DeliveryTiming = {
  ...{ firstPauseMs: 20, longestPauseMs: 50, giveUpMs: 60_000, attemptMs: 20_000 },
};

/** What an evaluation is made of, for tests that replace a part. */
export interface AlertParts {
  readonly observers?: Partial<ObserverActivities> | null;
  readonly alerts?: Partial<AlertActivities>;
}

/** Runs one evaluation over activities that only note that they were called. `null` observers: nobody works there. */
export async function evaluateOnce(rig: Rig, { observers = {}, alerts = {} }: AlertParts = {}) {
  const called: string[] = [];
  const note =
    <Answer>(name: string, answer: Answer) =>
    async (): Promise<Answer> => {
      called.push(name);
      return answer;
    };
  const queues = [
    {
      taskQueue: CONTROL_QUEUE,
      workflowBundle: rig.workflowBundle,
      maxActivities: 10,
      activities: {
        evaluateAlerts: note('evaluateAlerts', { fired: 0, resolved: 0 }),
        dispatchNotifications: note('dispatchNotifications', { dispatched: 0 }),
        ...alerts,
      },
    },
    ...(observers === null
      ? []
      : [
          {
            taskQueue: OBSERVERS_QUEUE,
            maxActivities: 10,
            activities: {
              observeStreamers: note('observeStreamers', { asked: 0, silent: 0 }),
              observeCertificates: note('observeCertificates', { looked: 0 }),
              ...observers,
            },
          },
        ]),
  ];
  const workers = await Promise.all(queues.map((queue) => startWorker(rig.connection, rig.temporal, queue)));
  const workflowId = `evaluate-alerts-${randomUUID()}`;
  try {
    const timing = { observeMs: 2_000, evaluateMs: 10_000 };
    const run = rig.client.workflow.execute(EVALUATE_ALERTS_WORKFLOW, {
      ...{ workflowId, taskQueue: CONTROL_QUEUE, args: [{ timing }] },
    });
    const outcome = await run.then(
      () => 'done',
      () => 'failed',
    );
    return { workflowId, called, outcome };
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

/** How a delivery fails. */
export interface FailingDelivery {
  readonly failures: number;
  readonly code?: 'DELIVERY_FAILED' | 'DELIVERY_REFUSED';
  readonly giveUpMs?: number;
}

/** Runs one delivery whose first attempts fail. */
export async function deliverOnce(rig: Rig, { failures, code = 'DELIVERY_FAILED', ...timing }: FailingDelivery) {
  const notificationId = randomUUID();
  let attempts = 0;
  const givenUp: string[] = [];
  const activities: DeliveryActivities = {
    deliver: async () => {
      attempts += 1;
      if (attempts <= failures) throw toApplicationFailure(new DomainError(code, `refused ${attempts} times`));
    },
    giveUpDelivery: async ({ reason }) => {
      givenUp.push(reason);
    },
  };
  const worker = await startWorker(rig.connection, rig.temporal, {
    ...{ taskQueue: CONTROL_QUEUE, workflowBundle: rig.workflowBundle, maxActivities: 10, activities },
  });
  const workflowId = deliverWorkflowId(notificationId);
  try {
    await rig.client.workflow.execute(DELIVER_WORKFLOW, {
      ...{ workflowId, taskQueue: CONTROL_QUEUE, args: [{ notificationId, timing: { ...QUICK_DELIVERY, ...timing } }] },
    });
    return { workflowId, attempts, givenUp };
  } finally {
    await worker.stop();
  }
}
