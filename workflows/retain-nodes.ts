import { patched } from '@temporalio/workflow';
import {
  RETENTION_KINDS,
  type RetentionItem,
  type RetentionNodesInput,
  type RetentionScope,
  type RetentionTiming,
  type SurveyedImage,
} from '../contracts/retention.ts';
import { toOperationFailure } from './failures.ts';
import { retainOrphans } from './retain-orphans.ts';
import { retainingOn, retentionStore } from './retention-stubs.ts';

/** Images that are asked about, and removed, together: about 30 KB of a history, and a minute of Docker's time. */
const IMAGES_PAGE = 200;

const NEEDED = 'needed by a revision that stays';

/** Something that is looked at on a node. */
type Line = Omit<RetentionItem, 'kind' | 'nodeId'>;

/**
 * Lets the nodes after one, or a single one, rid themselves of what no revision needs, side by side: one that is frozen ends by its own
 * bounds and holds nobody else up. What a node does not do is told in the report.
 *
 * @returns after which node it goes on; `null` at the end.
 */
export async function retainNodes(
  scope: RetentionScope,
  which: RetentionNodesInput,
  timing: RetentionTiming,
): Promise<string | null> {
  const { nodes, next } = await retentionStore.listRetentionNodes(which);
  await Promise.all(
    nodes.map(async ({ nodeId, unreachable }) => {
      const images = unreachable === '' ? await retainImages(scope, nodeId, timing) : [skipped(unreachable)];
      await record(scope, nodeId, RETENTION_KINDS.images, images);
      const hasFailed = images.some(({ reason }) => reason.startsWith(NOT_LOOKED_AT));
      if (hasFailed) return;
      if (patched('orphans')) {
        await record(scope, nodeId, RETENTION_KINDS.orphans, await retainOrphans(scope, nodeId, timing));
      }
      if (scope.policy.buildCacheBytes === null) return;
      await record(scope, nodeId, RETENTION_KINDS.buildCache, await pruneBuildCache(scope, nodeId, timing));
    }),
  );
  return next;
}

/** What was removed before something failed is told as well. */
async function retainImages(scope: RetentionScope, nodeId: string, timing: RetentionTiming): Promise<Line[]> {
  const lines: Line[] = [];
  const { imagesMs, baseImagesMs } = scope.policy;
  const rules = { imagesMs, baseImagesMs };
  const node = retainingOn(nodeId, timing);
  try {
    for (let afterId: string | null = ''; afterId !== null; ) {
      const survey = await node.surveyImages({ afterId, limit: IMAGES_PAGE, rules });
      lines.push(...staying(survey.kept));
      const { needed, others } = await divide(scope, survey.images);
      lines.push({ reason: NEEDED, count: needed, bytes: null });
      if (others.length > 0) {
        const { isDryRun } = scope;
        const { layersBytes } = survey;
        const removed = await node.removeImages({ imageIds: others, rules, isDryRun, layersBytes });
        lines.push({ reason: '', count: removed.removed, bytes: removed.bytesFreed }, ...staying(removed.kept));
      }
      afterId = survey.next;
    }
  } catch (error) {
    lines.push(skipped(toOperationFailure(error).message));
  }
  return lines;
}

/** Asked for just before the removal: a revision that was stored since the run began counts. */
async function divide(
  scope: RetentionScope,
  images: readonly SurveyedImage[],
): Promise<{ needed: number; others: string[] }> {
  if (images.length === 0) return { needed: 0, others: [] };
  const needed = new Set(await retentionStore.findNeededImages({ ...scope, images }));
  const others = images.flatMap(({ imageId }) => (needed.has(imageId) ? [] : [imageId]));
  return { needed: needed.size, others };
}

async function pruneBuildCache(scope: RetentionScope, nodeId: string, timing: RetentionTiming): Promise<Line[]> {
  const { isDryRun, policy } = scope;
  try {
    const keepBytes = policy.buildCacheBytes ?? Number.MAX_SAFE_INTEGER;
    const { removed, bytesFreed } = await retainingOn(nodeId, timing).pruneBuildCache({ keepBytes, isDryRun });
    // A daemon tells beforehand how much would go, not how many records.
    const count = isDryRun && bytesFreed !== null && bytesFreed > 0 ? Math.max(1, removed) : removed;
    return [{ reason: '', count, bytes: bytesFreed }];
  } catch (error) {
    return [skipped(toOperationFailure(error).message)];
  }
}

async function record(scope: RetentionScope, nodeId: string, kind: string, items: readonly Line[]): Promise<void> {
  await retentionStore.recordRetention({ runId: scope.runId, kind, nodeId, items });
}

const NOT_LOOKED_AT = 'not looked at: ';

function skipped(why: string): Line {
  return { reason: `${NOT_LOOKED_AT}${why}`, count: 1, bytes: null };
}

function staying(kept: Readonly<Record<string, number>>): Line[] {
  return Object.entries(kept).map(([reason, count]) => ({ reason, count, bytes: null }));
}
