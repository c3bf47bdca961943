import { onData, store } from './activity-stubs.ts';
import { allOrCancelled } from './all-or-cancelled.ts';
import type { Rollout } from './converge.ts';
import { tellDoomed } from './tell-doomed.ts';

/** Brings the data to where what mounts it is to start. Called before each start: what wrote it is gone by then. */
export async function carryVolumes(rollout: Rollout): Promise<void> {
  const { plan, ref, timing } = rollout;
  const { carries = [] } = plan;
  if (carries.length === 0 || rollout.carried) return;
  await allOrCancelled(
    carries.map(({ volumeId, projectId, to, copy }) => async () => {
      await onData(to, timing).carryVolume({ volumeId, projectId, copy });
    }),
  );
  await store.recordCarried(ref);
  rollout.carried = true;
}

/** Tells the nodes between which data was carried that one copy is to go: which one, is recorded by now. */
export async function tellCarried({ plan }: Pick<Rollout, 'plan'>): Promise<void> {
  await tellDoomed((plan.carries ?? []).flatMap(({ from, to }) => [from, to]));
}
