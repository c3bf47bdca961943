import fc from 'fast-check';
import type { ModelNode, ModelReplica } from '../../domain/placement/cluster-model.ts';
import type { PlacedDeployment } from '../../domain/placement/movable.ts';
import type { PlacementRules } from '../../domain/placement/placement.ts';
import type { PlannedMove } from '../../domain/placement/planned-moves.ts';
import { ANYWHERE, type PlacementPolicy } from '../../domain/placement/policy.ts';
import type { RebalanceQuestion } from '../../domain/placement/rebalance.ts';
import { STRATEGY_NAMES } from '../../domain/placement/strategies.ts';
import { GIB } from './placements.ts';

/** A node of the model with four cores and 16 GiB. */
export function aModelNode(nodeId: string, changes: Partial<ModelNode> = {}): ModelNode {
  const kind = { hostname: nodeId, architecture: 'x86_64', labels: {}, ready: true };
  return { nodeId, ...kind, cpuCores: 4, memoryBytes: 16 * GIB, ...changes };
}

/** A deployment that may be moved anywhere. */
export function aPlacedDeployment(deploymentId: string, changes: Partial<PlacedDeployment> = {}): PlacedDeployment {
  const freely = { policy: ANYWHERE, nearId: null, isWhole: false, isBuilt: false, isMovable: true };
  return { deploymentId, name: `app-${deploymentId}`, ...freely, ...changes };
}

/** Replicas of a deployment by node: half a core and 1 GiB each. */
export function replicasOn(
  deploymentId: string,
  counts: Readonly<Record<string, number>>,
  changes: Partial<ModelReplica> = {},
): ModelReplica[] {
  return Object.entries(counts).flatMap(([nodeId, count]) =>
    Array.from({ length: count }, () => {
      return { deploymentId, nodeId, service: 'app', cpuCores: 0.5, memoryBytes: GIB, ...changes };
    }),
  );
}

/** What is where once a move is made. */
export function afterMove(
  replicas: readonly ModelReplica[],
  { deploymentId, from, to, replicas: count }: PlannedMove,
): ModelReplica[] {
  let left = count;
  return replicas.map((replica) => {
    if (left === 0 || replica.deploymentId !== deploymentId || replica.nodeId !== from) return replica;
    left -= 1;
    return { ...replica, nodeId: to };
  });
}

const MIB = 1024 ** 2;

const NODE_IDS = ['node-a', 'node-b', 'node-c', 'node-d', 'node-e', 'node-f'];

const node = (nodeId: string): fc.Arbitrary<ModelNode> =>
  fc.record({
    ...{ nodeId: fc.constant(nodeId), hostname: fc.constant(nodeId) },
    ready: fc.boolean().map((isAway) => !isAway || nodeId < 'node-c'),
    architecture: fc.constantFrom('x86_64', 'x86_64', 'aarch64'),
    labels: fc.oneof(fc.constant({}), fc.record({ zone: fc.constantFrom('east', 'west') })),
    cpuCores: fc.constantFrom(2, 4, 16),
    memoryBytes: fc.constantFrom(8 * GIB, 16 * GIB, 40 * GIB),
  });

const rules: fc.Arbitrary<PlacementRules> = fc.record({
  strategy: fc.constantFrom(...STRATEGY_NAMES, 'least-loaded' as const),
  spreadLabel: fc.constantFrom('zone', 'rack'),
  maxDeploymentsPerNode: fc.constantFrom(2, 4, 50),
  cpuOvercommit: fc.constantFrom(1, 4),
});

const policy: fc.Arbitrary<PlacementPolicy> = fc.record({
  strategy: fc.constantFrom(null, null, ...STRATEGY_NAMES),
  spreadLabel: fc.constantFrom(null, 'zone'),
  constraints: fc.oneof(
    { weight: 4, arbitrary: fc.constant([]) },
    fc.constant([{ attribute: 'node.labels.zone', isEqual: false, value: 'west' }]),
    fc.constant([{ attribute: 'node.id', isEqual: false, value: 'node-b' }]),
  ),
  maxReplicasPerNode: fc.constantFrom(null, null, 1, 2),
  near: fc.constant(null),
});

/** A deployment and its replicas, most of them on the first nodes. */
const placed = (index: number) =>
  fc
    .record({
      ...{ policy, isWhole: fc.boolean(), isBuilt: fc.boolean(), isNear: fc.nat({ max: 4 }) },
      isMovable: fc.nat({ max: 4 }).map((one) => one > 0),
      size: fc.record({ cpuCores: fc.constantFrom(0.1, 0.3, 1), memoryBytes: fc.integer({ min: 1, max: 40 }) }),
      on: fc.array(fc.constantFrom(...NODE_IDS, 'node-a', 'node-a', 'node-b'), { minLength: 1, maxLength: 8 }),
    })
    .map(({ isNear, size, on, isWhole, ...of }) => {
      const id = `deployment-${index}`;
      const nearId = isNear === 0 ? `deployment-${(index + 1) % 5}` : null;
      const deployment = aPlacedDeployment(id, { ...of, isWhole, nearId, policy: { ...of.policy, near: nearId } });
      const replicas = on.map((nodeId, at) => ({
        ...{
          deploymentId: id,
          service: isWhole ? `service-${at % 3}` : 'app',
          nodeId: isWhole ? (on[0] ?? '') : nodeId,
        },
        ...{ cpuCores: size.cpuCores, memoryBytes: size.memoryBytes * 100 * MIB },
      }));
      return { deployment, replicas };
    });

/** Clusters of all kinds, some of them fuller than they may be, with what is near what. */
export const clusters: fc.Arbitrary<RebalanceQuestion> = fc
  .record({
    nodes: fc.tuple(...NODE_IDS.map(node)),
    placed: fc
      .integer({ min: 1, max: 7 })
      .chain((length) => fc.tuple(...Array.from({ length }, (_, at) => placed(at)))),
    rules,
  })
  .map(({ nodes, placed, rules }) => ({
    ...{ nodes, rules },
    replicas: placed.flatMap(({ replicas }) => replicas),
    deployments: placed.map(({ deployment }) => deployment),
  }));
