import { setTimeout as delay } from 'node:timers/promises';
import { createWakeUp } from '../../activities/wake-up.ts';
import type { Log } from '../../adapters/logging/log.ts';
import type { Change, ChangeFeed } from '../../adapters/postgres/changes.ts';

/** What is done about changes of the control database. */
export interface ChangeHandlers {
  readonly changes: Pick<ChangeFeed, 'subscribe'>;
  readonly evaluateDeployments: (ids: readonly string[]) => Promise<unknown>;
  readonly evaluateNodes: (ids: readonly string[]) => Promise<unknown>;
  readonly log: Log;
}

/** Changes within this time are evaluated together: a rollout changes the same rows many times. */
const GATHER_MS = 1_000;

/** Things that wait to be evaluated, at most. What is beyond is evaluated by the schedule, within 30 s. */
const MOST_WAITING = 500;

/** Evaluates at once what something has happened to, until aborted. What fails is evaluated by the schedule. */
export async function followChanges(
  { changes, evaluateDeployments, evaluateNodes, log }: ChangeHandlers,
  signal: AbortSignal,
): Promise<void> {
  const [deployments, nodes] = [new Set<string>(), new Set<string>()];
  const changed = createWakeUp();
  const listener = (change: Change): void => {
    if (change.kind === 'deployment' && deployments.size < MOST_WAITING) deployments.add(change.deploymentId);
    if (change.kind === 'node' && nodes.size < MOST_WAITING) nodes.add(change.nodeId);
    changed.ring();
  };
  const leave = [changes.subscribe({ deployments: true }, listener), changes.subscribe({ nodes: true }, listener)];
  try {
    while (!signal.aborted) {
      if (deployments.size + nodes.size === 0) await changed.wait(60_000, signal);
      await delay(GATHER_MS, undefined, { signal });
      const [ids, nodeIds] = [[...deployments], [...nodes]];
      deployments.clear();
      nodes.clear();
      await Promise.all([evaluateDeployments(ids), evaluateNodes(nodeIds)]).catch((err: unknown) => {
        log.warn({ err }, 'alerts of what has changed are evaluated later');
      });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    for (const unsubscribe of leave) unsubscribe();
  }
}
