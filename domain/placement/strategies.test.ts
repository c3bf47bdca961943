import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aPlacementNode, aPlacementRequest, GIB, questions, RULES } from '../../test/support/placements.ts';
import { choosePlacement, type PlacementNode, type PlacementQuestion } from './placement.ts';
import { ANYWHERE } from './policy.ts';
import type { StrategyName } from './strategies.ts';

/** Slow and plain: hands out one replica at a time by looking at every node. */
function byScanning(
  { request, nodes, rules }: PlacementQuestion,
  rankOf: (
    shares: { cpu: number; memory: number },
    node: PlacementNode,
    placed: ReadonlyMap<string, number>,
  ) => number[],
): string[] | undefined {
  const placed = new Map(nodes.map((node) => [node.nodeId, 0]));
  const rank = (node: PlacementNode): number[] | undefined => {
    const count = (placed.get(node.nodeId) ?? 0) + 1;
    const cores = node.cpuCores * rules.cpuOvercommit;
    const cpu = Math.max(0, cores - node.reservedCpuCores) - count * request.cpuCores;
    const memory = Math.max(0, node.memoryBytes - node.reservedMemoryBytes) - count * request.memoryBytes;
    if (cpu < -1e-6 || memory < 0) return undefined;
    return rankOf({ cpu: 1 - cpu / cores, memory: 1 - memory / node.memoryBytes }, node, placed);
  };
  const able = nodes.filter(
    (node) => node.ready && node.otherDeployments < rules.maxDeploymentsPerNode && node.cpuCores >= request.cpuCores,
  );
  const chosen: string[] = [];
  for (let index = 0; index < request.replicas; index += 1) {
    const ranked = able.flatMap((node) => {
      const found = rank(node);
      return found ? [{ nodeId: node.nodeId, rank: found }] : [];
    });
    const [best] = ranked.sort((a, b) => compare(a.rank, b.rank) || (a.nodeId < b.nodeId ? -1 : 1));
    if (!best) return undefined;
    chosen.push(best.nodeId);
    placed.set(best.nodeId, (placed.get(best.nodeId) ?? 0) + 1);
  }
  return chosen;
}

function compare(one: readonly number[], other: readonly number[]): number {
  return one.map((part, index) => part - (other[index] ?? 0)).find((difference) => difference !== 0) ?? 0;
}

function asked(question: PlacementQuestion, strategy: StrategyName): PlacementQuestion {
  return {
    ...question,
    request: { ...question.request, together: false, policy: ANYWHERE },
    rules: { ...question.rules, strategy, spreadLabel: 'zone' },
  };
}

describe('a strategy chooses as one would who looks at every node before every replica:', () => {
  it.each([
    ['least-loaded', ({ cpu, memory }: { cpu: number; memory: number }) => [Math.max(cpu, memory)]],
    ['resource-based', ({ cpu, memory }: { cpu: number; memory: number }) => [-(cpu + memory) / 2]],
  ] as const)('%s', (strategy, rankOf) => {
    fc.assert(
      fc.property(questions, (given) => {
        const question = asked(given, strategy);
        expect(choosePlacement(question).assignments).toEqual(byScanning(question, rankOf));
      }),
    );
  });

  it('spread, in how many replicas there are in each place', () => {
    fc.assert(
      fc.property(questions, (given) => {
        const question = asked(given, 'spread');
        const domainOf = (node: PlacementNode): string => node.labels.zone ?? node.nodeId;
        const able = question.nodes.filter(
          (node) =>
            node.ready &&
            node.otherDeployments < question.rules.maxDeploymentsPerNode &&
            node.cpuCores >= question.request.cpuCores,
        );
        const inDomain = (node: PlacementNode, placed: ReadonlyMap<string, number>): number =>
          able
            .filter((other) => domainOf(other) === domainOf(node))
            .reduce((sum, { nodeId, ownReplicas }) => sum + ownReplicas + (placed.get(nodeId) ?? 0), 0);
        const scanned = byScanning(question, (_, node, placed) => [inDomain(node, placed)]);
        const { assignments } = choosePlacement(question);
        expect(assignments?.length).toBe(scanned?.length);
        for (const [index] of (assignments ?? []).entries()) {
          const placed = Map.groupBy((assignments ?? []).slice(0, index), (nodeId) => nodeId);
          const counts = new Map([...placed].map(([nodeId, all]) => [nodeId, all.length]));
          const chosen = able.find(({ nodeId }) => nodeId === assignments?.[index]);
          const single = byScanning(
            { ...question, nodes: able.map((node) => withPlaced(node, question, counts)), request: one(question) },
            (_, node) => [inDomain(node, counts)],
          );
          const best = able.find(({ nodeId }) => nodeId === single?.[0]);
          expect(chosen && inDomain(chosen, counts)).toBe(best && inDomain(best, counts));
        }
      }),
      { numRuns: 50 },
    );
  });
});

function one({ request }: PlacementQuestion): PlacementQuestion['request'] {
  return { ...request, replicas: 1 };
}

function withPlaced(
  node: PlacementNode,
  { request }: PlacementQuestion,
  placed: ReadonlyMap<string, number>,
): PlacementNode {
  const count = placed.get(node.nodeId) ?? 0;
  return {
    ...node,
    reservedCpuCores: node.reservedCpuCores + count * request.cpuCores,
    reservedMemoryBytes: node.reservedMemoryBytes + count * request.memoryBytes,
  };
}

describe('round-robin', () => {
  const nodes = ['node-a', 'node-b', 'node-c'].map((id) => aPlacementNode(id));
  const rules = { ...RULES, strategy: 'round-robin' } as const;

  it('is fair: whatever was asked for before, no node is more than one ahead', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(sizes, (requests) => {
        const given = new Map(nodes.map(({ nodeId }) => [nodeId, 0]));
        let after: string | null = null;
        for (const replicas of requests) {
          const request = aPlacementRequest({ replicas, cpuCores: 0, memoryBytes: 0 });
          const { assignments = [] } = choosePlacement({ request, nodes, rules, after });
          for (const nodeId of assignments) given.set(nodeId, (given.get(nodeId) ?? 0) + 1);
          after = assignments.at(-1) ?? after;
        }
        expect(Math.max(...given.values()) - Math.min(...given.values())).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('goes on behind a node that has left, and around again', () => {
    const next = (after: string | null) =>
      choosePlacement({ request: aPlacementRequest(), nodes, rules, after }).assignments;
    expect([next(null), next('node-a'), next('node-bb'), next('node-c')].flat()).toEqual([
      ...['node-a', 'node-b', 'node-c', 'node-a'],
    ]);
  });

  it('passes over nodes that are full, and keeps together what must be', () => {
    const some = [aPlacementNode('node-a'), aPlacementNode('node-b', { memoryBytes: 1 }), aPlacementNode('node-c')];
    const request = aPlacementRequest({ replicas: 2 });
    expect(choosePlacement({ request, nodes: some, rules, after: 'node-a' }).assignments).toEqual(['node-c', 'node-a']);
    const together = { ...request, together: true };
    expect(choosePlacement({ request: together, nodes: some, rules, after: 'node-a' }).assignments).toEqual([
      ...['node-c', 'node-c'],
    ]);
  });
});

describe('resource-based', () => {
  it('fills what is begun, and keeps a node free for what is large', () => {
    const rules = { ...RULES, strategy: 'resource-based' } as const;
    const nodes = [aPlacementNode('node-a'), aPlacementNode('node-b', { reservedMemoryBytes: 4 * GIB })];
    const small = choosePlacement({ request: aPlacementRequest({ replicas: 4 }), nodes, rules });
    expect(small.assignments).toEqual(['node-b', 'node-b', 'node-b', 'node-b']);
    const large = aPlacementRequest({ memoryBytes: 8 * GIB });
    expect(choosePlacement({ request: large, nodes, rules }).assignments).toEqual(['node-a']);
  });
});

describe('spread', () => {
  const rules = { ...RULES, strategy: 'spread', spreadLabel: 'zone' } as const;

  it('counts the replicas that are there, and treats a node without the label as a place of its own', () => {
    const nodes = [
      aPlacementNode('node-a', { labels: { zone: 'east' }, ownReplicas: 1 }),
      aPlacementNode('node-b', { labels: { zone: 'east' } }),
      aPlacementNode('node-c', { labels: { zone: 'west' }, reservedMemoryBytes: 6 * GIB }),
      aPlacementNode('node-d', { reservedMemoryBytes: 4 * GIB }),
    ];
    const { assignments } = choosePlacement({ request: aPlacementRequest({ replicas: 3 }), nodes, rules });
    expect(assignments).toEqual(['node-c', 'node-d', 'node-b']);
  });
});
