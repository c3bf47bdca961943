import { log, startChild, uuid4 } from '@temporalio/workflow';
import type { DiskNotice, KnownDisk } from '../contracts/node.ts';
import {
  DEFAULT_RETENTION_TIMING,
  RETENTION_WORKFLOW,
  type RetentionInput,
  retentionWorkflowId,
} from '../contracts/retention.ts';
import { isWorse } from '../domain/disk-guard.ts';

/** While its disk stays low a node is cleaned again after this: what was too young to go may go by then. */
const AGAIN_MS = 3_600_000;

/**
 * A node of which nothing is known yet: it takes work. Whatever is found first is recorded, since an earlier run of the
 * workflow may have left something else in the database.
 */
export const UNKNOWN_DISK: KnownDisk = { level: 'room', notice: 'not told yet', cleanedAt: 0 };

/**
 * Takes over what was found of a node's disk. Asks for the node to be cleaned when that got worse, which is before it
 * takes no more work unless it has filled between two looks, and each hour while it lasts.
 */
export async function knowDisk(nodeId: string, known: KnownDisk, found: DiskNotice): Promise<KnownDisk> {
  const isDue = isWorse(found.level, known.level) || Date.now() - known.cleanedAt >= AGAIN_MS;
  if (found.level === 'room' || !isDue) return { ...found, cleanedAt: known.cleanedAt };
  await startCleaning(nodeId);
  log.warn('a node is cleaned, since its disk has little room', { nodeId, notice: found.notice });
  return { ...found, cleanedAt: Date.now() };
}

/** The run is a child of its own that goes on whatever becomes of this one; one that is under way will do. */
async function startCleaning(nodeId: string): Promise<void> {
  const request = { runId: uuid4(), isDryRun: false, actorUserId: null, onlyNodeId: nodeId };
  const input: RetentionInput = { ...request, timing: DEFAULT_RETENTION_TIMING };
  try {
    await startChild<(input: RetentionInput) => Promise<void>>(RETENTION_WORKFLOW, {
      workflowId: retentionWorkflowId(input),
      args: [input],
      cancellationType: 'ABANDON',
      parentClosePolicy: 'ABANDON',
    });
  } catch (error) {
    // The class itself is not to be had in workflows.
    if ((error as Error).name !== 'WorkflowExecutionAlreadyStartedError') throw error;
  }
}
