import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aPlacementRequest, GIB, RULES } from '../../test/support/placements.ts';
import { createClusterModel, type Demand, type ModelNode, type ModelReplica } from './cluster-model.ts';
import { ANYWHERE } from './policy.ts';

function aNode(nodeId: string, changes: Partial<ModelNode> = {}): ModelNode {
  const kind = { hostname: nodeId, architecture: 'x86_64', labels: {}, ready: true };
  return { nodeId, ...kind, cpuCores: 2, memoryBytes: 2 * GIB, ...changes };
}

function aReplica(deploymentId: string, nodeId: string, changes: Partial<ModelReplica> = {}): ModelReplica {
  return { deploymentId, nodeId, service: 'app', cpuCores: 0.5, memoryBytes: GIB, ...changes };
}

function aDemand(deploymentId: string, replicas = 1, changes: Partial<Demand> = {}): Demand {
  return {
    deploymentId,
    service: 'app',
    request: aPlacementRequest({ replicas }),
    only: null,
    nearId: null,
    ...changes,
  };
}

describe('a model of a cluster', () => {
  it('counts what it has placed before', () => {
    const model = createClusterModel({ nodes: [aNode('a'), aNode('b')], replicas: [], after: null }, RULES);
    expect(model.place(aDemand('one', 3)).assignments).toEqual(['a', 'b', 'a']);
    expect(model.place(aDemand('two')).assignments).toEqual(['b']);
    const full = model.place(aDemand('three'));
    expect(full.assignments).toEqual([]);
    expect(full.refusal).toMatch(/a has 7 cores and 0 MiB free, b has 7 cores and 0 MiB free/);
    expect(full.judge().map(({ barred }) => barred)).toEqual([
      'has 7 cores and 0 MiB free',
      'has 7 cores and 0 MiB free',
    ]);
  });

  it('has room again where something was released or its node is gone', () => {
    const replicas = [aReplica('old', 'a'), aReplica('old', 'a')];
    const model = createClusterModel(
      { nodes: [aNode('a'), aNode('b', { ready: false })], replicas, after: null },
      RULES,
    );
    expect(model.place(aDemand('new')).refusal).not.toBeNull();
    model.release(aReplica('old', 'a'));
    expect(model.place(aDemand('new')).assignments).toEqual(['a']);
    model.remove('a');
    expect(model.place(aDemand('newer')).refusal).toMatch(/none of 1 node is ready/);
  });

  it('knows which replicas are its own, and where the others are that it is to be near', () => {
    const nodes = ['a', 'b', 'c'].map((id) => aNode(id, { memoryBytes: 8 * GIB }));
    const replicas = [aReplica('cache', 'b'), aReplica('web', 'a'), aReplica('web', 'b', { service: 'other' })];
    const model = createClusterModel({ nodes, replicas, after: null }, RULES);
    const near = aPlacementRequest({ policy: { ...ANYWHERE, near: 'cache' } });
    expect(model.place(aDemand('api', 1, { request: near, nearId: 'cache' })).assignments).toEqual(['b']);
    const one = aPlacementRequest({ replicas: 3, policy: { ...ANYWHERE, maxReplicasPerNode: 1 } });
    expect(model.place(aDemand('web', 3, { request: one })).refusal).toMatch(/a has 1 of it, as many as it may/);
    expect(model.place(aDemand('web', 1, { only: 'c' })).assignments).toEqual(['c']);
  });

  it('never promises more memory than there is, whatever is asked for and taken away', () => {
    const steps = fc.array(fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 5 }), fc.boolean()), { maxLength: 40 });
    fc.assert(
      fc.property(steps, (asked) => {
        const nodes = ['a', 'b', 'c'].map((id) => aNode(id));
        const model = createClusterModel({ nodes, replicas: [], after: null }, RULES);
        const placed: ModelReplica[] = [];
        for (const [deployment, replicas, gives] of asked) {
          const id = `deployment-${deployment}`;
          if (gives)
            for (const nodeId of model.place(aDemand(id, replicas + 1)).assignments) placed.push(aReplica(id, nodeId));
          else if (placed.length > 0) model.release(placed.shift() as ModelReplica);
          for (const { nodeId } of nodes) {
            expect(placed.filter((one) => one.nodeId === nodeId).length * GIB).toBeLessThanOrEqual(2 * GIB);
          }
        }
      }),
    );
  });
});
