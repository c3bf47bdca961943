import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  choosePlacement,
  type Placement,
  type PlacementNode,
  type PlacementQuestion,
  type PlacementRules,
} from './placement.ts';
import { toPlacementError } from './refusal.ts';
import type { PlacementRequest } from './strategy.ts';

const GIB = 1024 ** 3;
const RULES: PlacementRules = { strategy: 'least-loaded', maxDeploymentsPerNode: 50, cpuOvercommit: 4 };

function aNode(nodeId: string, changes: Partial<PlacementNode> = {}): PlacementNode {
  const used = { reservedCpuCores: 0, reservedMemoryBytes: 0, otherDeployments: 0 };
  return { nodeId, ready: true, cpuCores: 2, memoryBytes: 8 * GIB, ...used, ...changes };
}

function aRequest(changes: Partial<PlacementRequest> = {}): PlacementRequest {
  return { name: 'api', replicas: 1, cpuCores: 0.5, memoryBytes: GIB, together: false, ...changes };
}

const requests = fc.record<PlacementRequest>({
  name: fc.constant('api'),
  replicas: fc.integer({ min: 1, max: 40 }),
  cpuCores: fc.constantFrom(0.1, 0.25, 0.3, 1, 2.5),
  memoryBytes: fc.integer({ min: 6 * 1024 ** 2, max: 4 * GIB }),
  together: fc.boolean(),
});

const nodeLists = fc.uniqueArray(
  fc.record<PlacementNode>({
    nodeId: fc.stringMatching(/^node-[a-f]{1,3}$/),
    ready: fc.boolean(),
    cpuCores: fc.integer({ min: 1, max: 32 }),
    memoryBytes: fc.integer({ min: GIB, max: 64 * GIB }),
    reservedCpuCores: fc.double({ min: 0, max: 80, noNaN: true }),
    reservedMemoryBytes: fc.integer({ min: 0, max: 64 * GIB }),
    otherDeployments: fc.integer({ min: 0, max: 4 }),
  }),
  { selector: (node) => node.nodeId, maxLength: 12 },
);

const questions = fc.record<PlacementQuestion>({
  request: requests,
  nodes: nodeLists,
  rules: fc.record<PlacementRules>({
    strategy: fc.constant('least-loaded'),
    maxDeploymentsPerNode: fc.integer({ min: 1, max: 4 }),
    cpuOvercommit: fc.constantFrom(1, 1.5, 4),
  }),
});

/** Slow and plain: hands out one replica at a time by looking at every node. */
function byScanning({ request, nodes, rules }: PlacementQuestion): string[] | undefined {
  const used = new Map(nodes.map((node) => [node.nodeId, 0]));
  const loadOf = (node: PlacementNode): number => {
    const placed = (used.get(node.nodeId) ?? 0) + 1;
    const cpu = Math.max(0, node.cpuCores * rules.cpuOvercommit - node.reservedCpuCores) - placed * request.cpuCores;
    const memory = Math.max(0, node.memoryBytes - node.reservedMemoryBytes) - placed * request.memoryBytes;
    if (cpu < -1e-6 || memory < 0) return Number.POSITIVE_INFINITY;
    return 1 - Math.min(cpu / (node.cpuCores * rules.cpuOvercommit), memory / node.memoryBytes);
  };
  const able = nodes.filter(
    (node) => node.ready && node.otherDeployments < rules.maxDeploymentsPerNode && node.cpuCores >= request.cpuCores,
  );
  able.sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  const chosen: string[] = [];
  for (let index = 0; index < request.replicas; index += 1) {
    let best: PlacementNode | undefined;
    for (const node of able) if (!best || loadOf(node) < loadOf(best)) best = node;
    if (!best || loadOf(best) === Number.POSITIVE_INFINITY) return undefined;
    chosen.push(best.nodeId);
    used.set(best.nodeId, (used.get(best.nodeId) ?? 0) + 1);
  }
  return chosen;
}

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
      fc.property(questions, ({ request, nodes, rules }) => {
        const { assignments = [] } = choosePlacement({ request, nodes, rules });
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

  it('chooses as one would who looks at every node before every replica', () => {
    fc.assert(
      fc.property(questions, (question) => {
        const request = { ...question.request, together: false };
        const { assignments } = choosePlacement({ ...question, request });
        expect(assignments).toEqual(byScanning({ ...question, request }));
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

describe('the least loaded node', () => {
  const placed = (request: PlacementRequest, nodes: readonly PlacementNode[]): Placement =>
    choosePlacement({ request, nodes, rules: RULES });

  it('is by id the first of equals', () => {
    expect(placed(aRequest(), [aNode('node-b'), aNode('node-a')]).assignments).toEqual(['node-a']);
  });

  it('gets no second replica while another is emptier', () => {
    const { assignments } = placed(aRequest({ replicas: 4 }), [aNode('node-a'), aNode('node-b')]);
    expect(assignments).toEqual(['node-a', 'node-b', 'node-a', 'node-b']);
  });

  it('is judged by what it has least of', () => {
    const shortOfMemory = aNode('node-a', { reservedMemoryBytes: 6 * GIB });
    const shortOfCpu = aNode('node-b', { reservedCpuCores: 4 });
    expect(placed(aRequest(), [shortOfMemory, shortOfCpu]).assignments).toEqual(['node-b']);
  });

  it('places ten tenths of a core on one core', () => {
    const request = aRequest({ replicas: 10, cpuCores: 0.1, memoryBytes: GIB / 2 });
    const rules = { ...RULES, cpuOvercommit: 1 };
    expect(choosePlacement({ request, nodes: [aNode('node-a', { cpuCores: 1 })], rules }).assignments).toHaveLength(10);
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
    const request = aRequest({ replicas: 3, cpuCores: 2, memoryBytes: 4 * GIB });
    const nodes = [aNode('node-a', { reservedCpuCores: 0.5, reservedMemoryBytes: 6 * GIB }), aNode('node-b')];
    expect(refused(request, nodes)).toBe(
      'INSUFFICIENT_CAPACITY: cannot place 3 replicas of api (2 cores, 4.0 GiB each): ' +
        'node-a has 1.5 cores and 2.0 GiB free, node-b has 2 cores and 8.0 GiB free',
    );
  });

  it('says that replicas must be together, and that a node is full', () => {
    const request = aRequest({ replicas: 2, cpuCores: 1, memoryBytes: 512 * 1024 ** 2, together: true });
    const nodes = [aNode('node-a', { otherDeployments: 50 }), aNode('node-b', { cpuCores: 1 })];
    expect(refused(request, nodes)).toBe(
      'INSUFFICIENT_CAPACITY: cannot place 2 replicas of api (1 core, 512 MiB each, all on one node): ' +
        'node-a holds as many deployments as it may, node-b has 1 core and 8.0 GiB free',
    );
  });

  it('does not promise one replica more cores than a node has, however many may be reserved', () => {
    const request = aRequest({ cpuCores: 3 });
    expect(choosePlacement({ request, nodes: [aNode('node-a')], rules: RULES }).refusal?.code).toBe(
      'INSUFFICIENT_CAPACITY',
    );
    expect(refused(request, [aNode('node-a')])).toMatch(/: node-a has only 2 cores$/);
  });

  it('names no more nodes than a message can hold', () => {
    const nodes = Array.from({ length: 25 }, (_, index) => aNode(`node-${100 + index}`, { memoryBytes: 1 }));
    expect(refused(aRequest(), nodes)).toMatch(/node-119 has 2 cores and 0 MiB free, 5 other nodes cannot either$/);
  });

  it('tells a cluster without nodes from one whose nodes are away', () => {
    expect(refused(aRequest(), [])).toMatch(/^NO_NODE_READY: .*: there is no node$/);
    expect(refused(aRequest(), [aNode('node-a', { ready: false })])).toMatch(/: none of 1 node is ready$/);
  });
});
