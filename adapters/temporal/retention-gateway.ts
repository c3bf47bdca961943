import { type Client, WithStartWorkflowOperation } from '@temporalio/client';
import type { WorkflowIdConflictPolicy } from '@temporalio/common';
import {
  ATTEND_UPDATE,
  RETENTION_WORKFLOW,
  type RetentionAttended,
  type RetentionInput,
  type RetentionRequest,
  type RetentionTiming,
  retentionWorkflowId,
} from '../../contracts/retention.ts';
import { CONTROL_QUEUE } from '../../contracts/task-queues.ts';
import { answered } from './answered.ts';

/** How the API reaches retention. */
export interface RetentionGateway {
  /**
   * Starts a run, or attends the one of its kind that is under way; answers once it is stored.
   *
   * @returns whose run it is. @throws WORKFLOWS_UNAVAILABLE
   */
  runRetention(request: RetentionRequest): Promise<RetentionAttended>;
}

/** Creates the gateway over a Temporal client. `answerMs`: how long a caller waits for the answer. */
export function createRetentionGateway(options: {
  readonly client: Client;
  readonly timing: RetentionTiming;
  readonly answerMs: number;
}): RetentionGateway {
  const { client, timing, answerMs } = options;
  return {
    runRetention: async (request) => {
      const input: RetentionInput = { ...request, timing };
      const start = new WithStartWorkflowOperation(RETENTION_WORKFLOW, {
        workflowId: retentionWorkflowId(request),
        taskQueue: CONTROL_QUEUE,
        args: [input],
        workflowIdConflictPolicy: 'USE_EXISTING' as WorkflowIdConflictPolicy,
      });
      return await answered(() =>
        client.connection.withDeadline(Date.now() + answerMs, () =>
          client.workflow.executeUpdateWithStart<never, RetentionAttended, []>(ATTEND_UPDATE, {
            updateId: request.runId,
            startWorkflowOperation: start as never,
          }),
        ),
      );
    },
  };
}
