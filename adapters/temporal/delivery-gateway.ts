import { type Client, WorkflowExecutionAlreadyStartedError, WorkflowIdReusePolicy } from '@temporalio/client';
import { DELIVER_WORKFLOW, type DeliverInput, deliverWorkflowId } from '../../contracts/alerts.ts';
import { CONTROL_QUEUE } from '../../contracts/task-queues.ts';

/**
 * Sees to it that a notification has its workflow. Safe to repeat, and by several at once: there is one of its id, and one
 * that has done its work is not begun again.
 */
export async function startDelivery(client: Client, input: DeliverInput): Promise<void> {
  try {
    await client.workflow.start(DELIVER_WORKFLOW, {
      workflowId: deliverWorkflowId(input.notificationId),
      workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
      taskQueue: CONTROL_QUEUE,
      args: [input],
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}
