import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { carryOutPlan } from '../support/rebalanced.ts';
import { startWorkflowRig } from '../support/workflow-rig.ts';

let rig: Awaited<ReturnType<typeof startWorkflowRig>>;
beforeAll(async () => {
  rig = await startWorkflowRig();
}, 60_000);
afterAll(async () => await rig.stop());

describe('the workflow that carries a plan out', { timeout: 120_000 }, () => {
  it('does one move after the other, past what has been deleted meanwhile', async () => {
    const { cluster, recorded } = await carryOutPlan(rig, { toNodes: ['node-b', 'node-c'] });
    expect(recorded).toEqual(['3 planned', '1 ended', '2 ended', '3 ended', 'done after 3']);
    const moves = [...cluster.operations.values()].filter(({ kind }) => kind === 'move');
    expect(moves.map(({ state, request }) => [state, request])).toMatchObject([
      ['succeeded', { move: { from: 'node-full', to: 'node-b', replicas: 1 }, reason: 'the nodes are rebalanced' }],
      ['succeeded', { move: { from: 'node-full', to: 'node-c', replicas: 1 } }],
    ]);
  });

  it('moves nothing further once it is stopped', async () => {
    const onBegin = () => rig.gateway.stopRebalance();
    const { cluster, recorded } = await carryOutPlan(rig, { toNodes: ['node-b'], onBegin });
    // The first one, of a deployment that does not exist, was begun in the same breath.
    expect(recorded).toEqual(['2 planned', '1 ended', 'stopped after 1']);
    expect([...cluster.operations.values()].map(({ kind }) => kind)).toEqual(['deploy']);
  });
});
