import { getExternalWorkflowHandle, log, patched } from '@temporalio/workflow';
import { DOOMED_SIGNAL, nodeWorkflowId } from '../contracts/node.ts';

/**
 * Tells nodes of what was recorded as left there. One that came back before it was recorded has looked already, and would
 * look again only after its present watch: ten minutes.
 */
export async function tellDoomed(nodeIds: readonly string[]): Promise<void> {
  if (nodeIds.length === 0 || !patched('doomed-told')) return;
  await Promise.all([...new Set(nodeIds)].map(tell));
}

async function tell(nodeId: string): Promise<void> {
  try {
    await getExternalWorkflowHandle(nodeWorkflowId(nodeId)).signal(DOOMED_SIGNAL);
  } catch (error) {
    // Nobody watches it any more; who does again looks first.
    log.warn('a node could not be told of what is left there', { nodeId, error: String(error) });
  }
}
