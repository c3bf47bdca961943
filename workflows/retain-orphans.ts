import type { OrphanRecord } from '../contracts/orphans.ts';
import type { RetentionItem, RetentionScope, RetentionTiming } from '../contracts/retention.ts';
import type { OwnableThing } from '../domain/retention/orphans.ts';
import { toOperationFailure } from './failures.ts';
import { orphansOn, retentionStore } from './retention-stubs.ts';

/** What a run began with before orphans were looked for had no grace for them. */
const GRACE_MS = 300_000;

/** Something that was looked at on a node. */
type Line = Omit<RetentionItem, 'kind' | 'nodeId'>;

/**
 * Lets a node rid itself of containers and networks that no record owns: they are listed, what is to go is recorded by id,
 * then it goes by that id, each looked at again just before; and what became of each is recorded too. What a node does not
 * do is told in the report.
 */
export async function retainOrphans(scope: RetentionScope, nodeId: string, timing: RetentionTiming): Promise<Line[]> {
  try {
    return await perform(scope, nodeId, timing);
  } catch (error) {
    return [{ reason: `not looked at: ${toOperationFailure(error).message}`, count: 1, bytes: null }];
  }
}

async function perform(scope: RetentionScope, nodeId: string, timing: RetentionTiming): Promise<Line[]> {
  const node = orphansOn(nodeId, timing);
  const { orphans, kept } = await node.surveyOrphans({ graceMs: scope.policy.orphansMs ?? GRACE_MS });
  const staying = Object.entries(kept).map(([reason, count]) => ({ reason, count, bytes: null }));
  await record(scope, nodeId, orphans, () => ({ outcome: scope.isDryRun ? 'would-go' : 'decided', reason: '' }));
  if (scope.isDryRun || orphans.length === 0) return [...staying, { reason: '', count: orphans.length, bytes: null }];
  const { outcomes } = await node.removeOrphans({ orphans });
  await record(scope, nodeId, orphans, ({ id }) => {
    const reason = outcomes[id] ?? 'not looked at';
    return { outcome: reason === '' ? 'removed' : 'spared', reason };
  });
  return [...staying, ...orphans.map(({ id }) => ({ reason: outcomes[id] ?? 'not looked at', count: 1, bytes: null }))];
}

async function record(
  { runId }: RetentionScope,
  nodeId: string,
  things: readonly OwnableThing[],
  became: (thing: OwnableThing) => Pick<OrphanRecord, 'outcome' | 'reason'>,
): Promise<void> {
  if (things.length === 0) return;
  const orphans = things.map((thing) => {
    const { kind, id, name } = thing;
    return { kind, id, name, nodeId, ...became(thing) };
  });
  await retentionStore.recordOrphans({ runId, orphans });
}
