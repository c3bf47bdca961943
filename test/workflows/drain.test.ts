import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drainWorkflowId } from '../../contracts/drain.ts';
import { DomainError } from '../../domain/errors.ts';
import { drainNode } from '../support/drained-node.ts';
import { eventually } from '../support/eventually.ts';
import { startWorkflowRig } from '../support/workflow-rig.ts';

let rig: Awaited<ReturnType<typeof startWorkflowRig>>;
beforeAll(async () => {
  rig = await startWorkflowRig();
}, 60_000);
afterAll(async () => await rig.stop());

describe('the workflow that empties a node', { timeout: 120_000 }, () => {
  it('asks what is there to move, waits for that, and says so whenever one has ended', async () => {
    const { cluster, nodeId, recorded } = await drainNode(rig);
    expect(recorded).toEqual(['begun', 'one ended', 'done']);
    const moves = [...cluster.operations.values()].filter(({ kind }) => kind === 'move');
    expect(moves).toMatchObject([
      {
        state: 'succeeded',
        request: { move: { from: nodeId, to: null, replicas: null }, reason: `node ${nodeId} is drained` },
      },
    ]);
  });

  it('goes on past a deployment that has been deleted meanwhile', async () => {
    const { recorded } = await drainNode(rig, { others: [randomUUID()] });
    expect(recorded).toEqual(['begun', 'one ended', 'one ended', 'done']);
  });

  it('asks again after a while for what could not be moved, and moves nothing further once it is stopped', async () => {
    const refuseStore = () => (refusing ? new DomainError('NO_NODE_READY', 'no node has room') : undefined);
    let refusing = false;
    const { cluster, recorded } = await drainNode(
      rig,
      {
        refuseStore,
        refuse: () => {
          refusing = true;
          return undefined;
        },
      },
      async ({ nodeId, ended }) => {
        // The round is over when the workflow waits before the next one.
        await eventually(async () => {
          const { events } = await rig.client.workflow.getHandle(drainWorkflowId(nodeId)).fetchHistory();
          expect(events?.some(({ timerStartedEventAttributes: timer }) => timer?.startToFireTimeout?.seconds)).toBe(
            true,
          );
          expect(events?.some(({ workflowExecutionSignaledEventAttributes: signal }) => signal)).toBe(true);
        });
        await rig.gateway.stopDrain(nodeId);
        await ended();
      },
    );
    expect(recorded).toEqual(['begun', 'one ended', 'stopped']);
    expect([...cluster.operations.values()].map(({ kind }) => kind)).toEqual(['deploy']);
  });

  it('is not promised anew while what was stopped still moves something', async () => {
    const moving = Promise.withResolvers<void>();
    let starts = 0;
    const onIngress = async () => {
      starts += 1;
      if (starts > 1) await moving.promise;
    };
    const { recorded } = await drainNode(rig, { onIngress }, async ({ nodeId, ended }) => {
      await eventually(() => expect(starts).toBe(2));
      await rig.gateway.stopDrain(nodeId);
      const again = { nodeId, drainId: randomUUID(), actorUserId: randomUUID(), reason: '', atOnce: 2 };
      await expect(rig.gateway.drainNode(again)).rejects.toMatchObject({ code: 'WORKFLOWS_UNAVAILABLE' });
      moving.resolve();
      await ended();
    });
    expect(recorded).toEqual(['begun', 'one ended', 'stopped']);
  });

  it('is refused for a node that nobody knows', async () => {
    const refuse = () => new DomainError('NOT_FOUND', 'node not found');
    await expect(drainNode(rig, { refuse })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is stopped without a word where none is under way', async () => {
    await rig.gateway.stopDrain(`node-${randomUUID()}`);
  });
});
