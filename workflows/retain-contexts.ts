import { RETENTION_KINDS, type RetentionScope, type RetentionTiming } from '../contracts/retention.ts';
import { toOperationFailure } from './failures.ts';
import { onContexts, retentionStore } from './retention-stubs.ts';

/** Clears files of contexts away on whoever keeps them, page by page. What nobody does is told in the report. */
export async function retainContexts(scope: RetentionScope, timing: RetentionTiming): Promise<void> {
  const total = { removed: 0, bytes: 0, kept: 0 };
  let failure = '';
  try {
    for (let after: string | null = ''; after !== null; ) {
      const page = await onContexts(timing).sweepContextFiles({ ...scope, after });
      total.removed += page.removed;
      total.bytes += page.bytes;
      total.kept += page.kept;
      after = page.next;
    }
  } catch (error) {
    failure = `not looked at: ${toOperationFailure(error).message}`;
  }
  await retentionStore.recordRetention({
    ...{ runId: scope.runId, kind: RETENTION_KINDS.contexts, nodeId: '' },
    items: [
      { reason: '', count: total.removed, bytes: total.bytes },
      { reason: 'named by a record, or stored of late', count: total.kept, bytes: null },
      { reason: failure, count: failure === '' ? 0 : 1, bytes: null },
    ],
  });
}
