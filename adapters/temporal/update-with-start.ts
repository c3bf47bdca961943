import { type Client, WithStartWorkflowOperation } from '@temporalio/client';
import type { WorkflowIdConflictPolicy } from '@temporalio/common';
import { CONTROL_QUEUE } from '../../contracts/task-queues.ts';
import { WORKFLOW_TASK_MS } from '../../contracts/timing.ts';
import { answered } from './answered.ts';

/** An update of a workflow that is started where it does not run. */
export interface WithStart<Argument> {
  readonly workflow: { readonly type: string; readonly id: string; readonly input: unknown };
  readonly update: { readonly name: string; readonly id: string; readonly args: [] | [Argument] };
}

/** Who is asked, and how long a caller waits for the answer, milliseconds. */
export interface Asked {
  readonly client: Client;
  readonly answerMs: number;
}

/** Asks a workflow on the control queue by an update, starting it where it does not run. @throws WORKFLOWS_UNAVAILABLE, what it refuses it with */
export async function executeWithStart<Answer, Argument>(
  { client, answerMs }: Asked,
  { workflow, update }: WithStart<Argument>,
): Promise<Answer> {
  const start = new WithStartWorkflowOperation(workflow.type, {
    workflowId: workflow.id,
    taskQueue: CONTROL_QUEUE,
    args: [workflow.input],
    workflowTaskTimeout: WORKFLOW_TASK_MS,
    workflowIdConflictPolicy: 'USE_EXISTING' as WorkflowIdConflictPolicy,
  });
  return await answered(() =>
    client.connection.withDeadline(Date.now() + answerMs, () =>
      client.workflow.executeUpdateWithStart<never, Answer, [] | [Argument]>(update.name, {
        updateId: update.id,
        args: update.args,
        startWorkflowOperation: start as never,
      }),
    ),
  );
}
