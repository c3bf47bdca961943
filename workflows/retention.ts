import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineUpdate,
  log,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import {
  ATTEND_UPDATE,
  type RetentionAttended,
  type RetentionInput,
  type RetentionProgress,
  type RetentionScope,
} from '../contracts/retention.ts';
import { toOperationFailure } from './failures.ts';
import { retainContexts } from './retain-contexts.ts';
import { retainNodes } from './retain-nodes.ts';
import { retentionStore, sweeps } from './retention-stubs.ts';

const attendUpdate = defineUpdate<RetentionAttended>(ATTEND_UPDATE);

/** A run as it goes along. */
interface Run {
  readonly input: RetentionInput;
  progress: RetentionProgress;
  readonly errors: string[];
}

/**
 * One run of retention: the control database first, since what only it names is found unneeded afterwards; then files of
 * contexts; then every node that can be asked, a page of them at a time, side by side.
 *
 * At most one at a time, `retention`, and beside it one that only counts, `retention/dry-run`. One of a single node,
 * `retention/node/<node id>`, leaves all but that node out. Ends with its report stored, whatever could not be done: that is told in it. The update `attend` answers once the run is stored. What has
 * been gone through survives continue-as-new; what was counted is in the database.
 */
export async function retention(input: RetentionInput): Promise<void> {
  let isStored = input.carried !== undefined;
  setHandler(attendUpdate, async () => {
    await condition(() => isStored);
    return { runId: input.runId };
  });
  const { timing: _, carried, ...request } = input;
  const begun = carried ? undefined : await retentionStore.beginRetention(request);
  isStored = true;
  const policy = carried?.policy ?? begun?.policy;
  if (policy && !begun?.isOver) {
    const others = input.onlyNodeId === undefined ? '' : null;
    const fresh = { policy, database: others, contexts: others, nodes: '', errors: [] };
    const run: Run = { input, progress: carried ?? fresh, errors: [...(carried?.errors ?? [])] };
    await perform(run);
    await retentionStore.finishRetention({ runId: input.runId, error: run.errors.join('; ') });
  }
  await condition(allHandlersFinished);
}

/** What fails in one part does not keep the others from being done. */
async function perform(run: Run): Promise<void> {
  const { input } = run;
  const scope: RetentionScope = { runId: input.runId, isDryRun: input.isDryRun, policy: run.progress.policy };
  await part(run, 'database', async (place) => {
    return (await sweeps(input.timing).sweepDatabase({ ...scope, place })).place;
  });
  await part(run, 'contexts', async () => {
    await retainContexts(scope, input.timing);
    return null;
  });
  const only = input.onlyNodeId === undefined ? {} : { onlyNodeId: input.onlyNodeId };
  await part(run, 'nodes', (afterId) => retainNodes(scope, { afterId, ...only }, input.timing));
}

/** Goes through one part, page by page, from where it stands. */
async function part(
  run: Run,
  name: 'database' | 'contexts' | 'nodes',
  page: (place: string) => Promise<string | null>,
): Promise<void> {
  for (let place = run.progress[name]; place !== null; place = run.progress[name]) {
    let next: string | null = null;
    try {
      next = await page(place);
    } catch (error) {
      const { message } = toOperationFailure(error);
      log.warn('a part of retention was given up', { part: name, message });
      run.errors.push(`${name}: ${message}`);
    }
    run.progress = { ...run.progress, [name]: next, errors: run.errors };
    if (workflowInfo().continueAsNewSuggested) await renew(run);
  }
}

async function renew({ input, progress }: Run): Promise<never> {
  await condition(allHandlersFinished);
  return await continueAsNew<typeof retention>({ ...input, carried: progress });
}
