import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyNode, aPlacementNode, aPlacementRequest, GIB, questions, RULES } from '../../test/support/placements.ts';
import { choosePlacement, type Placement, type PlacementNode } from './placement.ts';
import { ANYWHERE, meets, parseConstraint } from './policy.ts';
import { toPlacementError } from './refusal.ts';
import type { PlacementRequest } from './strategy.ts';

describe('placement', () => {
  it('places all replicas or none', () => {
    fc.assert(
      fc.property(questions, (question) => {
        const { assignments, refusal } = choosePlacement(question);
        expect(refusal ? undefined : assignments?.length).toBe(refusal ? undefined : question.request.replicas);
      }),
    );
  });

  it('never gives a node more than it can take, nor one that takes nothing', () => {
    fc.assert(
      fc.property(questions, (question) => {
        const { request, nodes, rules } = question;
        const { assignments = [] } = choosePlacement(question);
        for (const node of nodes) {
          const placed = assignments.filter((nodeId) => nodeId === node.nodeId).length;
          if (placed === 0) continue;
          expect(node.ready).toBe(true);
          expect(node.cpuCores).toBeGreaterThanOrEqual(request.cpuCores);
          expect(node.otherDeployments).toBeLessThan(rules.maxDeploymentsPerNode);
          expect(node.reservedMemoryBytes + placed * request.memoryBytes).toBeLessThanOrEqual(node.memoryBytes);
          const cores = node.reservedCpuCores + placed * request.cpuCores;
          expect(cores).toBeLessThanOrEqual(node.cpuCores * rules.cpuOvercommit + 1e-5);
        }
      }),
    );
  });

  it('respects what a deployment says about its places', () => {
    fc.assert(
      fc.property(questions, (question) => {
        const { policy } = question.request;
        const { assignments = [] } = choosePlacement(question);
        for (const node of question.nodes) {
          const placed = assignments.filter((nodeId) => nodeId === node.nodeId).length;
          if (placed === 0) continue;
          expect(policy.constraints.filter((constraint) => !meets(node, constraint))).toEqual([]);
          expect(policy.near === null || node.hasNeighbour).toBe(true);
          const most = policy.maxReplicasPerNode ?? Number.POSITIVE_INFINITY;
          expect(node.ownReplicas + placed).toBeLessThanOrEqual(most);
        }
      }),
    );
  });

  it('answers the same in whatever order the nodes are given', () => {
    fc.assert(
      fc.property(questions, fc.infiniteStream(fc.nat()), (question, picks) => {
        const shuffled = [...question.nodes];
        for (let at = shuffled.length - 1; at > 0; at -= 1) {
          const other = (picks.next().value ?? 0) % (at + 1);
          [shuffled[at], shuffled[other]] = [shuffled[other], shuffled[at]] as [PlacementNode, PlacementNode];
        }
        expect(choosePlacement({ ...question, nodes: shuffled })).toEqual(choosePlacement(question));
      }),
    );
  });

  it('keeps replicas together when they must be', () => {
    fc.assert(
      fc.property(questions, (question) => {
        const request = { ...question.request, together: true };
        const { assignments = [] } = choosePlacement({ ...question, request });
        expect(new Set(assignments).size).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe('adding a node', () => {
  it('leaves what could be placed placeable', () => {
    fc.assert(
      fc.property(questions, anyNode, (question, added) => {
        fc.pre(question.nodes.every(({ nodeId }) => nodeId !== added.nodeId));
        fc.pre(choosePlacement(question).refusal === undefined);
        expect(choosePlacement({ ...question, nodes: [...question.nodes, added] }).refusal).toBeUndefined();
      }),
    );
  });
});

describe('the least loaded node', () => {
  const placed = (request: PlacementRequest, nodes: readonly PlacementNode[]): Placement =>
    choosePlacement({ request, nodes, rules: RULES });

  it('is by id the first of equals', () => {
    expect(placed(aPlacementRequest(), [aPlacementNode('node-b'), aPlacementNode('node-a')]).assignments).toEqual([
      'node-a',
    ]);
  });

  it('gets no second replica while another is emptier', () => {
    const { assignments } = placed(aPlacementRequest({ replicas: 4 }), [
      aPlacementNode('node-a'),
      aPlacementNode('node-b'),
    ]);
    expect(assignments).toEqual(['node-a', 'node-b', 'node-a', 'node-b']);
  });

  it('is judged by what it has least of', () => {
    const shortOfMemory = aPlacementNode('node-a', { reservedMemoryBytes: 6 * GIB });
    const shortOfCpu = aPlacementNode('node-b', { reservedCpuCores: 4 });
    expect(placed(aPlacementRequest(), [shortOfMemory, shortOfCpu]).assignments).toEqual(['node-b']);
  });

  it('places ten tenths of a core on one core', () => {
    const request = aPlacementRequest({ replicas: 10, cpuCores: 0.1, memoryBytes: GIB / 2 });
    const rules = { ...RULES, cpuOvercommit: 1 };
    expect(
      choosePlacement({ request, nodes: [aPlacementNode('node-a', { cpuCores: 1 })], rules }).assignments,
    ).toHaveLength(10);
  });
});

describe('a refusal', () => {
  const refused = (request: PlacementRequest, nodes: readonly PlacementNode[]): string => {
    const { refusal } = choosePlacement({ request, nodes, rules: { ...RULES, cpuOvercommit: 1 } });
    if (!refusal) throw new Error('placed');
    const error = toPlacementError(request, refusal);
    return `${error.code}: ${error.message}`;
  };

  it('names what was wanted and what each node has free', () => {
    const request = aPlacementRequest({ replicas: 3, cpuCores: 2, memoryBytes: 4 * GIB });
    const nodes = [
      aPlacementNode('node-a', { reservedCpuCores: 0.5, reservedMemoryBytes: 6 * GIB }),
      aPlacementNode('node-b'),
    ];
    expect(refused(request, nodes)).toBe(
      'INSUFFICIENT_CAPACITY: cannot place 3 replicas of api (2 cores, 4.0 GiB each): ' +
        'node-a has 1.5 cores and 2.0 GiB free, node-b has 2 cores and 8.0 GiB free',
    );
  });

  it('says that replicas must be together, and that a node is full', () => {
    const request = aPlacementRequest({ replicas: 2, cpuCores: 1, memoryBytes: 512 * 1024 ** 2, together: true });
    const nodes = [aPlacementNode('node-a', { otherDeployments: 50 }), aPlacementNode('node-b', { cpuCores: 1 })];
    expect(refused(request, nodes)).toBe(
      'INSUFFICIENT_CAPACITY: cannot place 2 replicas of api (1 core, 512 MiB each, all on one node): ' +
        'node-a holds as many deployments as it may, node-b has 1 core and 8.0 GiB free',
    );
  });

  it('does not promise one replica more cores than a node has, however many may be reserved', () => {
    const request = aPlacementRequest({ cpuCores: 3 });
    expect(choosePlacement({ request, nodes: [aPlacementNode('node-a')], rules: RULES }).refusal?.code).toBe(
      'INSUFFICIENT_CAPACITY',
    );
    expect(refused(request, [aPlacementNode('node-a')])).toMatch(/: node-a has only 2 cores$/);
  });

  it('says which of its places a deployment does not allow', () => {
    const policy = { ...ANYWHERE, constraints: [parseConstraint('', 'node.labels.disk==ssd')], maxReplicasPerNode: 1 };
    const nodes = [
      aPlacementNode('node-a'),
      aPlacementNode('node-b', { labels: { disk: 'ssd' } }),
      aPlacementNode('node-c', { labels: { disk: 'ssd' }, ownReplicas: 1 }),
    ];
    const request = aPlacementRequest({ replicas: 2, policy });
    expect(refused(request, nodes)).toBe(
      'INSUFFICIENT_CAPACITY: cannot place 2 replicas of api (0.5 cores, 1.0 GiB each): ' +
        'node-a is not node.labels.disk==ssd, node-b has 2 cores and 8.0 GiB free, and may have 1 more of it, ' +
        'node-c has 1 of it, as many as it may',
    );
    expect(refused(aPlacementRequest({ policy: { ...ANYWHERE, near: 'cache' } }), [aPlacementNode('node-a')])).toMatch(
      /: node-a has nothing of cache$/,
    );
  });

  it('names no more nodes than a message can hold', () => {
    const nodes = Array.from({ length: 25 }, (_, index) => aPlacementNode(`node-${100 + index}`, { memoryBytes: 1 }));
    expect(refused(aPlacementRequest(), nodes)).toMatch(
      /node-119 has 2 cores and 0 MiB free, 5 other nodes cannot either$/,
    );
  });

  it('tells a cluster without nodes from one whose nodes are away', () => {
    expect(refused(aPlacementRequest(), [])).toMatch(/^NO_NODE_READY: .*: there is no node$/);
    expect(refused(aPlacementRequest(), [aPlacementNode('node-a', { ready: false })])).toMatch(
      /: none of 1 node is ready: node-a \(not ready\)$/,
    );
  });

  it('says of each node that takes nothing why not', () => {
    const full = aPlacementNode('node-b', { ready: false, unready: 'its disk is nearly full: 4 % free' });
    const cordoned = aPlacementNode('node-a', { ready: false, unready: 'cordoned' });
    expect(refused(aPlacementRequest(), [full, cordoned])).toMatch(
      /: none of 2 nodes is ready: node-a \(cordoned\), node-b \(its disk is nearly full: 4 % free\)$/,
    );
    expect(refused(aPlacementRequest({ replicas: 20 }), [aPlacementNode('node-c'), full])).toMatch(
      /node-c has 2 cores and 8.0 GiB free; not node-b \(its disk is nearly full: 4 % free\)$/,
    );
  });
});
