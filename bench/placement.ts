import { choosePlacement, type PlacementNode, type PlacementQuestion } from '../domain/placement/placement.ts';
import { ANYWHERE } from '../domain/placement/policy.ts';
import { STRATEGY_NAMES, type StrategyName } from '../domain/placement/strategies.ts';
import { againstFloor, atMost, type Bench, type Figure, percentile } from './figure.ts';

const SIZES = [100, 1_000, 10_000, 100_000];

/** Replicas of one decision. */
const REPLICAS = 100;

/** A scan of more takes seconds, and says nothing new. */
const LARGEST_SCAN = 10_000;

/** Decisions of the first runs are those of code that is still being compiled. */
const WARM_UP = 3;
const RUNS = 11;

/** In proportion to the nodes, and a little for caches that become too small. */
const MOST_SLOPE = 1.3;

const GIB = 1024 ** 3;

/**
 * One decision for a hundred replicas, by strategy and number of nodes; beside it a sort of the same nodes by load, and a
 * scan of all of them for each replica.
 */
export const bench: Bench = {
  name: 'placement',
  about: `one decision for ${REPLICAS} replicas, by strategy and number of nodes, against a plain sort and a plain scan`,
  run: async () => STRATEGY_NAMES.flatMap(measureStrategy),
};

function measureStrategy(strategy: StrategyName): Figure[] {
  const figures: Figure[] = [];
  const costs: [size: number, ms: number][] = [];
  for (const size of SIZES) {
    const question = aQuestion(size, strategy);
    const [decide, sort] = interleaved(
      () => choosePlacement(question),
      () => question.nodes.toSorted((one, other) => loadOf(one) - loadOf(other)),
    );
    costs.push([size, decide]);
    figures.push(
      againstFloor({ name: `${strategy}, ${size} nodes, beside a sort`, value: decide, floor: sort, maxRatio: null }),
    );
    if (size > LARGEST_SCAN) continue;
    const [again, scan] = interleaved(
      () => choosePlacement(question),
      () => scanFor(question),
    );
    figures.push(
      againstFloor({ name: `${strategy}, ${size} nodes, beside a scan`, value: again, floor: scan, maxRatio: 1 }),
    );
  }
  const name = `${strategy}, log-log slope`;
  return [...figures, atMost({ name, value: logLogSlope(costs), unit: '', max: MOST_SLOPE })];
}

/** Nodes of eight zones, each with something on it. Always the same. */
function aQuestion(size: number, strategy: StrategyName): PlacementQuestion {
  const nodes = Array.from({ length: size }, (_, index): PlacementNode => {
    const share = ((index * 7919) % 1000) / 2000;
    return {
      ...{ nodeId: `node-${String((index * 7919) % size).padStart(6, '0')}-${index}`, ready: true },
      ...{ cpuCores: 16, memoryBytes: 64 * GIB, otherDeployments: 3, ownReplicas: index % 5 === 0 ? 1 : 0 },
      ...{ reservedCpuCores: share * 16, reservedMemoryBytes: Math.floor(share * 64 * GIB) },
      ...{
        labels: { zone: `zone-${index % 8}` },
        hostname: `host-${index}`,
        architecture: 'x86_64',
        hasNeighbour: false,
      },
    };
  });
  return {
    request: { name: 'app', replicas: REPLICAS, cpuCores: 0.25, memoryBytes: GIB, together: false, policy: ANYWHERE },
    nodes,
    rules: { strategy, spreadLabel: 'zone', maxDeploymentsPerNode: 50, cpuOvercommit: 4 },
    after: null,
  };
}

/** Looks at every node for each replica. */
function scanFor({ nodes, request }: PlacementQuestion): string[] {
  const given = new Map<string, number>();
  return Array.from({ length: request.replicas }, () => {
    let best = nodes[0];
    let least = Number.POSITIVE_INFINITY;
    for (const node of nodes) {
      const load = loadOf(node) + (given.get(node.nodeId) ?? 0) * (request.memoryBytes / node.memoryBytes);
      if (load >= least) continue;
      best = node;
      least = load;
    }
    const nodeId = best?.nodeId ?? '';
    given.set(nodeId, (given.get(nodeId) ?? 0) + 1);
    return nodeId;
  });
}

function loadOf(node: PlacementNode): number {
  return node.reservedMemoryBytes / node.memoryBytes;
}

/** Medians of both, milliseconds, one after the other in turn. */
function interleaved(one: () => unknown, other: () => unknown): [one: number, other: number] {
  const [ones, others]: [number[], number[]] = [[], []];
  for (let run = 0; run < WARM_UP + RUNS; run += 1) {
    const [own, floor] = [timed(one), timed(other)];
    if (run < WARM_UP) continue;
    ones.push(own);
    others.push(floor);
  }
  return [percentile(ones, 0.5), percentile(others, 0.5)];
}

function timed(work: () => unknown): number {
  const startedAt = performance.now();
  work();
  return performance.now() - startedAt;
}

/** How the cost grows: 1 is in proportion to the number of nodes. */
function logLogSlope(points: readonly (readonly [size: number, ms: number])[]): number {
  const logs = points.map(([size, ms]) => [Math.log(size), Math.log(ms)] as const);
  const mean = (part: 0 | 1): number => logs.reduce((sum, point) => sum + point[part], 0) / logs.length;
  const [x, y] = [mean(0), mean(1)];
  const covariance = logs.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
  return covariance / logs.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
}
