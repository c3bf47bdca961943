import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { nodeWorkflowId } from '../../contracts/node.ts';
import { answered } from './answered.ts';

/**
 * Ends the watch of a node that was removed; nothing where none runs. The watch does nothing that has to be taken back, and
 * nothing of what it would record is there any more.
 *
 * @throws WORKFLOWS_UNAVAILABLE
 */
export async function endNode(client: Client, nodeId: string): Promise<void> {
  const workflow = client.workflow.getHandle(nodeWorkflowId(nodeId));
  await answered(() =>
    workflow.terminate('the node was removed').catch((error: unknown) => {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }),
  );
}
