import { randomUUID } from 'node:crypto';
import type { MetricsUpkeep, MetricsUpkeepInput } from '../../contracts/metrics-upkeep.ts';
import { CONTROL_QUEUE } from '../../contracts/task-queues.ts';
import { createFakeCluster } from './fake-cluster.ts';
import type { startWorkflowRig } from './workflow-rig.ts';

type Rig = Awaited<ReturnType<typeof startWorkflowRig>>;

/** Durations that suit tests. */
export const QUICK_UPKEEP: MetricsUpkeepInput = { timing: { pageMs: 10_000, maxPages: 5 } };

/** An activity that answers these, one after the other and then the last: whether there is more, or a failure. */
export function inTurn(answers: readonly (boolean | Error)[]) {
  let calls = 0;
  return Object.assign(
    async () => {
      const answer = answers[Math.min(calls, answers.length - 1)] ?? false;
      calls += 1;
      if (answer instanceof Error) throw answer;
      return { done: 1, hasMore: answer };
    },
    { calls: () => calls },
  );
}

/** Runs these workflows to their end, one after the other. @returns their ids. */
export async function keepMetrics(
  rig: Rig,
  types: readonly string[],
  upkeep: MetricsUpkeep,
): Promise<readonly string[]> {
  const ids = types.map((type) => `${type}/${randomUUID()}`);
  const work = async (): Promise<void> => {
    for (const [index, type] of types.entries()) {
      const workflowId = ids[index] ?? type;
      await rig.client.workflow.execute(type, { workflowId, taskQueue: CONTROL_QUEUE, args: [QUICK_UPKEEP] });
    }
  };
  await rig.withCluster(createFakeCluster(), work, upkeep);
  return ids;
}
