import { describe, expect, it } from 'vitest';
import { aPlacementNode, aPlacementRequest } from '../../test/support/placements.ts';
import type { PlacementNode } from './placement.ts';
import { choosePlacementOfKind } from './same-kind.ts';

const GIB = 1024 ** 3;
const RULES = { strategy: 'least-loaded', maxDeploymentsPerNode: 50, cpuOvercommit: 1 } as const;

function aNode(nodeId: string, architecture: string, changes: Partial<PlacementNode> = {}): PlacementNode {
  return aPlacementNode(nodeId, { architecture, cpuCores: 4, ...changes });
}

function place(nodes: readonly PlacementNode[], replicas: number, builtFor: string | null = null) {
  const request = aPlacementRequest({ replicas, cpuCores: 1, memoryBytes: GIB });
  return choosePlacementOfKind({ request, rules: RULES, nodes, builtFor });
}

const MIXED = [aNode('a1', 'arm64'), aNode('a2', 'arm64'), aNode('x1', 'amd64'), aNode('x2', 'amd64')];

describe('replicas of an image that is built', () => {
  it('are all on nodes of one architecture: that of the node which is least loaded', () => {
    expect(place(MIXED, 4).assignments).toEqual(['a1', 'a2', 'a1', 'a2']);
    const busy = MIXED.map((node) => (node.architecture === 'arm64' ? { ...node, reservedCpuCores: 2 } : node));
    expect(place(busy, 2).assignments).toEqual(['x1', 'x2']);
  });

  it('are on nodes of the architecture that it was built for, whatever the others are', () => {
    expect(place(MIXED, 2, 'amd64').assignments).toEqual(['x1', 'x2']);
    const lost = MIXED.map((node) => ({ ...node, ready: node.architecture === 'arm64' }));
    expect(place(lost, 1, 'amd64').refusal).toMatchObject({
      code: 'NO_NODE_READY',
      unready: [{ nodeId: 'x1' }, { nodeId: 'x2' }],
    });
  });

  it('are on those of another one when the first has no room for all', () => {
    const small = [aNode('a1', 'arm64', { cpuCores: 2 }), aNode('x1', 'amd64', { reservedCpuCores: 1, cpuCores: 8 })];
    expect(place(small, 1).assignments).toEqual(['x1']);
    expect(
      place([aNode('a1', 'arm64'), aNode('x1', 'amd64', { reservedCpuCores: 4, cpuCores: 12 })], 6).assignments,
    ).toEqual(Array(6).fill('x1'));
    expect(place(MIXED, 100).refusal).toMatchObject({ code: 'INSUFFICIENT_CAPACITY' });
  });

  it('are placed like all others where there is one architecture', () => {
    const alike = MIXED.map((node) => ({ ...node, architecture: 'amd64' }));
    expect(place(alike, 4).assignments).toEqual(['a1', 'a2', 'x1', 'x2']);
    expect(place(alike, 4, 'amd64').assignments).toEqual(['a1', 'a2', 'x1', 'x2']);
    expect(place([], 1).refusal).toEqual({ code: 'NO_NODE_READY', unready: [] });
  });
});
