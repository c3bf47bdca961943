import {
  type ClusterModel,
  createClusterModel,
  type Demand,
  type ModelNode,
  type ModelReplica,
} from '../domain/placement/cluster-model.ts';
import type { PlacementRules } from '../domain/placement/placement.ts';
import { ANYWHERE } from '../domain/placement/policy.ts';
import { planRebalance, type RebalanceQuestion } from '../domain/placement/rebalance.ts';
import { atMost, type Bench, percentile } from './figure.ts';

const NODES = 10_000;

/** Deployments of ten replicas each; the last thousand are placed one by one, the others are there. */
const DEPLOYMENTS = 10_000;
const REPLICAS = 10;
const PLACED = 1_000;

/** Nodes that leave, one after the other. */
const LOST = 100;

/** Empty nodes that join a cluster that was even before. */
const JOINED = 1_000;

const GIB = 1024 ** 3;
const SIZE = { cpuCores: 0.25, memoryBytes: GIB };

const RULES: PlacementRules = { strategy: 'least-loaded', maxDeploymentsPerNode: 50, cpuOvercommit: 4 };

/** A whole cluster in memory, which is filled, and of which nodes leave. */
export const bench: Bench = {
  name: 'placement-cluster',
  about: `${NODES} nodes and ${DEPLOYMENTS * REPLICAS} replicas: the last placements, nodes that leave, and a plan for nodes that join`,
  run: async () => {
    const before = process.memoryUsage().heapUsed;
    const replicas = Array.from({ length: (DEPLOYMENTS - PLACED) * REPLICAS }, (_, index) =>
      aReplica(index % (DEPLOYMENTS - PLACED), `node-${(index * 7919) % NODES}`),
    );
    const nodes = Array.from({ length: NODES }, (_, index) => aNode(index));
    const model = createClusterModel({ nodes, replicas, after: null }, RULES);
    const placements: number[] = [];
    for (let deployment = DEPLOYMENTS - PLACED; deployment < DEPLOYMENTS; deployment += 1) {
      const { ms, assignments } = place(model, deployment, REPLICAS);
      placements.push(ms);
      for (const nodeId of assignments) replicas.push(aReplica(deployment, nodeId));
    }
    const megabytes = (process.memoryUsage().heapUsed - before) / 1024 ** 2;
    const losses = Array.from({ length: LOST }, (_, index) => lose(model, replicas, `node-${index * 97}`));
    const unplaced = losses.reduce((sum, loss) => sum + loss.unplaced, 0);
    const moved = losses.reduce((sum, loss) => sum + loss.moved, 0);
    const figures = { value: percentile(placements, 0.5), unit: 'ms' };
    return [
      atMost({ name: `placement of ${REPLICAS} replicas, p50`, ...figures, max: null }),
      atMost({ name: 'the same, p99', value: percentile(placements, 0.99), unit: 'ms', max: null }),
      atMost({ name: 'a node leaves, all of it placed anew, p50', value: medianOf(losses), unit: 'ms', max: null }),
      atMost({ name: `replicas placed anew of ${LOST} nodes`, value: moved, unit: '', max: null }),
      atMost({ name: 'replicas that found no place', value: unplaced, unit: '', max: 0 }),
      atMost({ name: 'memory of the model', value: megabytes, unit: 'MiB', max: null }),
      ...rebalance(),
    ];
  },
};

/** Plans for the same cluster, even, after empty nodes have joined: what one answer holds, and all there is to move. */
function rebalance() {
  const nodes = Array.from({ length: NODES + JOINED }, (_, index) => aNode(index));
  const replicas = Array.from({ length: DEPLOYMENTS * REPLICAS }, (_, index) =>
    aReplica(index % DEPLOYMENTS, `node-${(index * 7919) % NODES}`),
  );
  const deployments = Array.from({ length: DEPLOYMENTS }, (_, index) => {
    const rules = { policy: ANYWHERE, nearId: null, isWhole: false, isBuilt: false, isMovable: true };
    return { deploymentId: String(index), name: 'app', ...rules };
  });
  const question = { nodes, replicas, deployments, rules: RULES };
  const few = plan(question);
  const all = plan({ ...question, limits: { moves: Number.POSITIVE_INFINITY } });
  const { moves, imbalance } = all.answer;
  // Node tells it in KiB.
  const peak = process.resourceUsage().maxRSS / 1024;
  return [
    atMost({
      name: `${JOINED} nodes join: processor time of a plan of ${few.answer.moves.length} moves`,
      value: few.ms,
      unit: 'ms',
      max: null,
    }),
    atMost({ name: 'the same with all moves', value: all.ms, unit: 'ms', max: null }),
    atMost({ name: 'moves in it', value: moves.length, unit: '', max: null }),
    atMost({ name: 'imbalance before it', value: imbalance.before * 100, unit: 'points', max: null }),
    atMost({ name: 'imbalance after it', value: imbalance.after * 100, unit: 'points', max: imbalance.before * 100 }),
    atMost({ name: 'most memory that the process had', value: peak, unit: 'MiB', max: null }),
  ];
}

function plan(question: RebalanceQuestion) {
  const startedAt = process.cpuUsage();
  const answer = planRebalance(question);
  const { user, system } = process.cpuUsage(startedAt);
  return { answer, ms: (user + system) / 1000 };
}

interface Loss {
  readonly ms: number;
  readonly moved: number;
  readonly unplaced: number;
}

function medianOf(losses: readonly Loss[]): number {
  return percentile(
    losses.map(({ ms }) => ms),
    0.5,
  );
}

function lose(model: ClusterModel, replicas: readonly ModelReplica[], nodeId: string): Loss {
  const gone = Map.groupBy(
    replicas.filter((replica) => replica.nodeId === nodeId),
    ({ deploymentId }) => deploymentId,
  );
  model.remove(nodeId);
  const loss = { ms: 0, moved: 0, unplaced: 0 };
  for (const [deploymentId, of] of gone) {
    const { ms, assignments } = place(model, Number(deploymentId), of.length);
    loss.ms += ms;
    loss.moved += assignments.length;
    loss.unplaced += of.length - assignments.length;
  }
  return loss;
}

function place(model: ClusterModel, deployment: number, replicas: number) {
  const startedAt = performance.now();
  const { assignments } = model.place(aDemand(deployment, replicas));
  return { ms: performance.now() - startedAt, assignments };
}

function aNode(index: number): ModelNode {
  const kind = { hostname: `host-${index}`, architecture: 'x86_64', labels: {}, ready: true };
  return { nodeId: `node-${index}`, ...kind, cpuCores: 16, memoryBytes: 64 * GIB };
}

function aReplica(deployment: number, nodeId: string): ModelReplica {
  return { deploymentId: String(deployment), service: 'app', nodeId, ...SIZE };
}

function aDemand(deployment: number, replicas: number): Demand {
  const request = { name: 'app', replicas, together: false, policy: ANYWHERE, ...SIZE };
  return { deploymentId: String(deployment), service: 'app', request, only: null, nearId: null };
}
