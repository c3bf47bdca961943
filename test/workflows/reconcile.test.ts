import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureReconcileSchedule } from '../../adapters/temporal/schedules.ts';
import { RECONCILE_SCHEDULE } from '../../contracts/reconcile.ts';
import { eventually } from '../support/eventually.ts';
import { A_REPLICA, NOTHING, QUICK_RECONCILE, reconcileOnce, sees, withNodes } from '../support/reconciled-nodes.ts';
import { startWorkflowRig } from '../support/workflow-rig.ts';

let rig: Awaited<ReturnType<typeof startWorkflowRig>>;
beforeAll(async () => {
  rig = await startWorkflowRig();
}, 60_000);
afterAll(async () => await rig.stop());

/** One reconciliation. */
async function runOnce(): Promise<void> {
  await reconcileOnce(rig);
}

const ids = (count: number) => Array.from({ length: count }, (_, index) => `node-${randomUUID().slice(0, 8)}-${index}`);

describe('a reconciliation', { timeout: 120_000 }, () => {
  it('looks once at each node where all is as recorded, and records nothing', async () => {
    const nodes = Object.fromEntries(ids(5).map((id) => [id, { sights: [sees()] }]));
    const { looks, found } = await withNodes(rig, nodes, runOnce);
    expect(looks.toSorted()).toEqual(
      Object.keys(nodes)
        .map((id) => `${id} []`)
        .toSorted(),
    );
    expect(found).toEqual([]);
  });

  it('takes a container for gone after a second look that says the same, and not after one that does not', async () => {
    const [gone = '', there = ''] = ids(2);
    const recorded = { ...NOTHING, recorded: [A_REPLICA] };
    const nodes = { [gone]: { sights: [sees('a')], recorded }, [there]: { sights: [sees('a'), sees()], recorded } };
    const { looks, found } = await withNodes(rig, nodes, runOnce);
    expect(looks.toSorted()).toEqual([`${gone} [a]`, `${gone} [a]`, `${there} [a]`, `${there} [a]`].toSorted());
    const { deploymentId, replicaId } = A_REPLICA;
    expect(found).toEqual([{ nodeId: gone, findings: [{ kind: 'gone', containerId: 'a', deploymentId, replicaId }] }]);
  });

  it('is held up by no node: those that are silent or slow cost themselves only, and nothing follows from them', async () => {
    const [dead = '', silent = '', slow = '', gone = ''] = ['a', 'b', 'c', 'd'].map(
      (name) => `${name}-${randomUUID()}`,
    );
    const recorded = { ...NOTHING, recorded: [A_REPLICA] };
    const nodes = {
      [dead]: { sights: undefined, recorded },
      [silent]: { sights: [{ kind: 'silent' as const }], recorded },
      [slow]: { sights: [sees()], recorded, waits: true },
      [gone]: { sights: [sees('a')], recorded },
    };
    const { looks, found } = await withNodes(rig, nodes, runOnce, { perPage: 4 });
    expect(found.map(({ nodeId }) => nodeId)).toEqual([gone]);
    expect(looks).toContain(`${slow} [a]`);
  });

  it('goes on when a deployment that is to be healed has been deleted meanwhile', async () => {
    const [gone = ''] = ids(1);
    const nodes = { [gone]: { sights: [sees('a')], recorded: { ...NOTHING, recorded: [A_REPLICA] } } };
    const { found } = await withNodes(rig, nodes, runOnce, { heal: [randomUUID()] });
    expect(found).toHaveLength(1);
  });

  it('is begun by its schedule again and again, which is made once', async () => {
    const [node = ''] = ids(1);
    const { looks } = await withNodes(rig, { [node]: { sights: [sees()] } }, async () => {
      for (let i = 0; i < 2; i += 1) await ensureReconcileSchedule(rig.client, { everyMs: 1_000, ...QUICK_RECONCILE });
      const handle = rig.client.schedule.getHandle(RECONCILE_SCHEDULE);
      await eventually(async () => expect((await handle.describe()).info.numActionsTaken).toBeGreaterThan(1));
      await handle.delete();
    });
    expect(looks.length).toBeGreaterThan(0);
  });
});
