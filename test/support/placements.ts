import fc from 'fast-check';
import type { PlacementNode, PlacementQuestion, PlacementRules } from '../../domain/placement/placement.ts';
import { ANYWHERE } from '../../domain/placement/policy.ts';
import { STRATEGY_NAMES } from '../../domain/placement/strategies.ts';
import type { PlacementRequest } from '../../domain/placement/strategy.ts';

export const GIB = 1024 ** 3;

export const RULES: PlacementRules = { strategy: 'least-loaded', maxDeploymentsPerNode: 50, cpuOvercommit: 4 };

/** A node of two cores and 8 GiB that holds nothing. */
export function aPlacementNode(nodeId: string, changes: Partial<PlacementNode> = {}): PlacementNode {
  const used = { reservedCpuCores: 0, reservedMemoryBytes: 0, otherDeployments: 0, ownReplicas: 0 };
  const kind = { hostname: `${nodeId}.example`, architecture: 'x86_64', labels: {} };
  const size = { cpuCores: 2, memoryBytes: 8 * GIB };
  return { nodeId, ready: true, ...size, ...used, ...kind, hasNeighbour: false, ...changes };
}

/** One replica that wants half a core and 1 GiB. */
export function aPlacementRequest(changes: Partial<PlacementRequest> = {}): PlacementRequest {
  return { name: 'api', replicas: 1, cpuCores: 0.5, memoryBytes: GIB, together: false, policy: ANYWHERE, ...changes };
}

const requests = fc.record<PlacementRequest>({
  name: fc.constant('api'),
  replicas: fc.integer({ min: 1, max: 40 }),
  cpuCores: fc.constantFrom(0.1, 0.25, 0.3, 1, 2.5),
  memoryBytes: fc.integer({ min: 6 * 1024 ** 2, max: 4 * GIB }),
  together: fc.boolean(),
  policy: fc.record({
    ...{ strategy: fc.constant(null), spreadLabel: fc.constant(null) },
    constraints: fc.subarray([
      { attribute: 'node.labels.zone', isEqual: true, value: 'east' },
      { attribute: 'node.labels.zone', isEqual: false, value: 'west' },
      { attribute: 'node.architecture', isEqual: true, value: 'arm64' },
    ]),
    maxReplicasPerNode: fc.option(fc.integer({ min: 1, max: 4 })),
    near: fc.option(fc.constant('cache')),
  }),
});

export const anyNode: fc.Arbitrary<PlacementNode> = fc.record<PlacementNode>({
  nodeId: fc.stringMatching(/^node-[a-f]{1,3}$/),
  ready: fc.boolean(),
  cpuCores: fc.integer({ min: 1, max: 32 }),
  memoryBytes: fc.integer({ min: GIB, max: 64 * GIB }),
  reservedCpuCores: fc.double({ min: 0, max: 80, noNaN: true }),
  reservedMemoryBytes: fc.integer({ min: 0, max: 64 * GIB }),
  otherDeployments: fc.integer({ min: 0, max: 4 }),
  ownReplicas: fc.integer({ min: 0, max: 3 }),
  hasNeighbour: fc.boolean(),
  hostname: fc.constantFrom('one.example', 'two.example'),
  architecture: fc.constantFrom('x86_64', 'aarch64'),
  labels: fc.oneof(fc.constant({}), fc.record({ zone: fc.constantFrom('east', 'west', 'north') })),
});

/** Questions of all kinds, some without an answer. */
export const questions: fc.Arbitrary<PlacementQuestion> = fc.record<PlacementQuestion>({
  request: requests,
  nodes: fc.uniqueArray(anyNode, { selector: (node) => node.nodeId, maxLength: 12 }),
  rules: fc.record<PlacementRules>({
    strategy: fc.constantFrom(...STRATEGY_NAMES),
    spreadLabel: fc.constantFrom('zone', 'rack'),
    maxDeploymentsPerNode: fc.integer({ min: 1, max: 4 }),
    cpuOvercommit: fc.constantFrom(1, 1.5, 4),
  }),
  after: fc.oneof(fc.constant(null), fc.stringMatching(/^node-[a-f]{1,3}$/)),
});
