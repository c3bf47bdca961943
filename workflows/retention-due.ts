import { startChild, uuid4 } from '@temporalio/workflow';
import {
  RETENTION_WORKFLOW,
  type RetentionDueInput,
  type RetentionInput,
  retentionWorkflowId,
} from '../contracts/retention.ts';

/**
 * What the schedule starts, `retention-due-<time>`: sees to it that a run is under way, and lasts as long as that, so
 * that the schedule skips a time at which the last run goes on. One that somebody has asked for will do.
 *
 * The run is a child under the one id that all runs have; it goes on whatever becomes of this.
 */
export async function retentionDue({ timing }: RetentionDueInput): Promise<void> {
  const input: RetentionInput = { runId: uuid4(), isDryRun: false, actorUserId: null, timing };
  try {
    const run = await startChild<(input: RetentionInput) => Promise<void>>(RETENTION_WORKFLOW, {
      workflowId: retentionWorkflowId(input),
      args: [input],
      cancellationType: 'ABANDON',
      parentClosePolicy: 'ABANDON',
    });
    await run.result();
  } catch (error) {
    // The class itself is not to be had in workflows.
    if ((error as Error).name !== 'WorkflowExecutionAlreadyStartedError') throw error;
  }
}
