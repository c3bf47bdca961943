import { condition } from '@temporalio/workflow';
import type { RolloutGate } from '../domain/rollout-policy.ts';
import { store, watchingIngress } from './activity-stubs.ts';
import type { Rollout } from './converge.ts';

/** Waits for what a gate says. An approval passes any gate, also one that only waits. @throws CANARY_REFUSED */
export async function passGate(rollout: Rollout, gate: RolloutGate): Promise<void> {
  if (gate.kind === 'errors') return await watchErrors(rollout, gate);
  const { ref, words } = rollout;
  const isApproved = (): boolean => (words?.approvals ?? 0) > 0;
  if (gate.kind === 'wait') {
    if (await condition(isApproved, gate.waitMs)) words?.useApproval();
    return;
  }
  if (!words) return;
  words.waitsFor = 'a person to approve that it goes on';
  await store.recordWaiting({ ...ref, waitsFor: words.waitsFor });
  await condition(isApproved);
  words.useApproval();
  words.waitsFor = '';
  await store.recordWaiting({ ...ref, waitsFor: '' });
}

async function watchErrors({ ref, plan, timing }: Rollout, gate: Extract<RolloutGate, { kind: 'errors' }>) {
  const revision = Math.max(...plan.goal.map((service) => service.revision));
  await watchingIngress(timing, gate.waitMs).watchErrors({ deploymentId: ref.deploymentId, revision, gate });
}
