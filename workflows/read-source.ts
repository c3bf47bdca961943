import type { OperationRef } from '../contracts/activities.ts';
import type { RolloutPlan } from '../contracts/rollout.ts';
import type { PlannedReading } from '../contracts/source-reading.ts';
import type { RolloutTiming } from '../contracts/timing.ts';
import { ONLY_SERVICE } from '../domain/spec.ts';
import { FETCHING, lookingUp, onBuilder, store } from './activity-stubs.ts';
import { waitForNode } from './wait-for-node.ts';

/**
 * Plans a rollout. Where a repository says what there is to roll out, a node reads that first, at the one commit that the
 * revision is pinned to from then on; what it is made of then is in the database, and never in this history.
 */
export async function planRollout(ref: OperationRef, timing: RolloutTiming): Promise<RolloutPlan> {
  const begin = () => waitForNode(() => store.beginRollout(ref), timing.nodePickUpMs);
  const plan = await begin();
  if (!plan.reading) return plan;
  await readSource(ref, plan.reading, timing);
  return await begin();
}

async function readSource(ref: OperationRef, reading: PlannedReading, timing: RolloutTiming): Promise<void> {
  const { revision, nodeId, source } = reading;
  const { deploymentId } = ref;
  const of = { deploymentId, revision, service: ONLY_SERVICE };
  const commit = reading.commit ?? (await pinCommit(ref, reading, timing));
  const found = await onBuilder(nodeId, timing, FETCHING).readSource({ ...of, source: { ...source, commit } });
  await store.adoptSource({ ...ref, revision, found });
}

async function pinCommit(
  ref: OperationRef,
  { revision, nodeId, source }: PlannedReading,
  timing: RolloutTiming,
): Promise<string> {
  const { deploymentId } = ref;
  const { url, ref: name } = source;
  const asked = { deploymentId, revision, service: ONLY_SERVICE, url, ref: name };
  const resolved = await lookingUp(nodeId, timing).resolveSource(asked);
  const { commit } = await store.recordSource({ ...ref, service: ONLY_SERVICE, revision, ...resolved });
  return commit;
}
