import { percentile } from '../../../bench/figure.ts';
import type { Subject } from '../../integration/deployed.ts';
import type { DaemonProcess } from '../../support/extra-docker.ts';
import { deployApplication, probeApplication } from '../application.ts';
import { type Cluster, containersOf, untilAllAre, untilNodeIs } from '../cluster.ts';
import type { ClusterNode } from '../cluster-node.ts';
import type { Experiment } from '../experiment.ts';
import { atMost, type Figure, secondsOf } from '../figures.ts';
import { countVerdicts, wholeDeployment } from '../invariants.ts';

/** Two on each node. */
const REPLICAS = 6;

const FROZEN_MS = 60_000;

/** Deploys in a row before the daemon is halted; about as many go into the halt. */
const DEPLOYS_BEFORE = 12;

/** Slower by more than this than before, and one node's trouble is every node's. */
const MOST_SLOWER_PERCENT = 10;

/** Some deploys, and beside each of them a bare start: by these is seen whether the machine itself was as fast. */
interface Deploys {
  readonly tookMs: readonly number[];
  readonly bareMs: readonly number[];
}

/** What one halt came to. */
interface Freeze {
  readonly degradedMs: number;
  readonly readyMs: number;
  readonly before: Deploys;
  readonly meanwhile: Deploys;
  /** Of deploys that were begun at the very halt, when nobody could know of it. */
  readonly unawareMs: readonly number[];
  readonly saidGone: number;
  readonly failedRequests: number;
  readonly breaks: readonly string[];
}

/** The Docker daemon of one node halts for a minute, that of the next one each time. */
export const dockerdFrozen = experiment(
  'dockerd',
  'the Docker daemon of a node stands still for 60 s: the others deploy as before, nothing is said to be gone',
);

/** The same with what the daemon has containers run by: it answers as ever, and can start and stop nothing. */
export const containerdFrozen = experiment(
  'containerd',
  'the containerd of a node stands still for 60 s: the others deploy as before, nothing is said to be gone',
);

function experiment(halted: DaemonProcess, about: string): Experiment {
  return {
    ...{ name: `${halted}-frozen`, about, runs: 3 },
    run: async (cluster, { runs, tell }) => {
      const freezes: Freeze[] = [];
      for (let run = 0; run < runs; run += 1) {
        const freeze = await freezeDaemon(cluster, run % cluster.nodes.length, halted);
        freezes.push(freeze);
        tell(`${run + 1}: ${toLine(freeze)}`);
        for (const text of freeze.breaks) tell(`    ${text}`);
      }
      return {
        runs,
        figures: toFigures(freezes),
        breaks: freezes.flatMap(({ breaks }, run) => breaks.map((text) => `run ${run + 1}: ${text}`)),
      };
    },
  };
}

function toFigures(freezes: readonly Freeze[]): Figure[] {
  const sum = (of: (freeze: Freeze) => number): number => freezes.reduce((total, freeze) => total + of(freeze), 0);
  const before = freezes.flatMap((freeze) => freeze.before.tookMs);
  const meanwhile = freezes.flatMap((freeze) => freeze.meanwhile.tookMs);
  const bareBefore = freezes.flatMap((freeze) => freeze.before.bareMs);
  const bareMeanwhile = freezes.flatMap((freeze) => freeze.meanwhile.bareMs);
  return [
    ...secondsOf(`${before.length} deploys before`, before, null),
    ...secondsOf(`${meanwhile.length} deploys on the others meanwhile`, meanwhile, null),
    atMost(MOST_SLOWER_PERCENT, { name: 'median slower by', value: slowerPercent(before, meanwhile), unit: '%' }),
    atMost(null, { name: 'a bare start slower by', value: slowerPercent(bareBefore, bareMeanwhile), unit: '%' }),
    ...secondsOf(
      'deploys begun at the halt',
      freezes.flatMap(({ unawareMs }) => unawareMs),
      null,
    ),
    ...secondsOf(
      'halt to seen degraded',
      freezes.map(({ degradedMs }) => degradedMs),
      15,
    ),
    ...secondsOf(
      'going on to seen ready',
      freezes.map(({ readyMs }) => readyMs),
      null,
    ),
    atMost(0, { name: 'replicas falsely said to be gone', value: sum(({ saidGone }) => saidGone), unit: '' }),
    atMost(0, { name: 'failed requests', value: sum(({ failedRequests }) => failedRequests), unit: '' }),
  ];
}

async function freezeDaemon(cluster: Cluster, index: number, halted: DaemonProcess): Promise<Freeze> {
  const node = cluster.nodes[index];
  if (!node) throw new Error('there is no such node');
  const { nodeId } = node;
  await untilAllAre(cluster, 'ready');
  const subject = await deployApplication(cluster, REPLICAS);
  const containers = await containersOf(subject.id, cluster.nodes);
  // Asks from here on, so that the deploys before are beside the same requests as those meanwhile.
  const prober = await probeApplication(cluster, subject);
  try {
    // The same nodes as meanwhile, so that the times compare.
    await cluster.api.nodes.cordonNode({ nodeId });
    const before = await deployWhile(cluster, node, (done) => done < DEPLOYS_BEFORE);
    await cluster.api.nodes.uncordonNode({ nodeId });
    const haltedAt = performance.now();
    const haltedAtWall = new Date();
    await node.docker.freeze(halted);
    const unaware = Promise.all(cluster.nodes.map(() => deployOnce(cluster)));
    unaware.catch(() => undefined);
    await untilNodeIs(cluster, node, 'degraded');
    const degradedMs = performance.now() - haltedAt;
    const meanwhile = await deployWhile(cluster, node, () => performance.now() - haltedAt < FROZEN_MS);
    await node.docker.thaw(halted);
    const readyMs = await measured(untilNodeIs(cluster, node, 'ready'));
    const deployed = await unaware;
    const breaks = await wholeDeployment(cluster, subject.id, REPLICAS);
    const after = await containersOf(subject.id, cluster.nodes);
    const others = containers.filter(({ id }) => !after.some((container) => container.id === id));
    breaks.push(...others.map(({ replica }) => `I10: replica ${replica} has another container than before`));
    const { failed } = await prober.stop();
    const saidGone = await countVerdicts(cluster, subject, haltedAtWall);
    for (const { subject } of deployed) await subject.remove();
    const unawareMs = deployed.map(({ tookMs }) => tookMs);
    return { degradedMs, readyMs, before, meanwhile, unawareMs, saidGone, failedRequests: failed.length, breaks };
  } finally {
    await node.docker.thaw(halted);
    await prober.stop();
    await subject.remove();
  }
}

/** Deploys one replica after another, and starts a bare container after each. Counts those on the other nodes. */
async function deployWhile(cluster: Cluster, node: ClusterNode, goesOn: (done: number) => boolean): Promise<Deploys> {
  const [other] = cluster.nodes.filter((one) => one !== node);
  const elsewhere: number[] = [];
  const bareMs: number[] = [];
  while (goesOn(elsewhere.length)) {
    const { subject, tookMs } = await deployOnce(cluster);
    const { replicas } = await subject.get();
    if (replicas.every(({ nodeId }) => nodeId !== node.nodeId)) elsewhere.push(tookMs);
    await subject.remove();
    if (other) bareMs.push(await measured(startBare(other, cluster.image)));
  }
  return { tookMs: elsewhere, bareMs };
}

/** What Docker alone does to start a replica. */
async function startBare({ docker }: ClusterNode, image: string): Promise<void> {
  const container = await docker.client.createContainer({ Image: image, Cmd: ['/bin/sleep', '60'] });
  await container.start();
  await container.remove({ force: true, v: true });
}

/** Deploys one replica. @returns how long its operation took by the record. */
async function deployOnce(cluster: Cluster): Promise<{ readonly subject: Subject; readonly tookMs: number }> {
  const subject = await deployApplication(cluster, 1);
  const { operation } = await subject.get();
  const { created_at, finished_at } = await cluster.db
    .selectFrom('operations')
    .select(['created_at', 'finished_at'])
    .where('id', '=', operation?.id ?? '')
    .executeTakeFirstOrThrow();
  return { subject, tookMs: (finished_at?.getTime() ?? Number.NaN) - created_at.getTime() };
}

async function measured(condition: Promise<void>): Promise<number> {
  const from = performance.now();
  await condition;
  return performance.now() - from;
}

function toLine({ degradedMs, readyMs, before, meanwhile, unawareMs, saidGone, failedRequests }: Freeze): string {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  const median = (ms: readonly number[]): string => `${(percentile(ms, 0.5) / 1000).toFixed(2)} s`;
  const told = ({ tookMs, bareMs }: Deploys): string => `${median(tookMs)} (${tookMs.length}, bare ${median(bareMs)})`;
  return [
    `degraded ${seconds(degradedMs)}, ready again ${seconds(readyMs)}`,
    `deploys before ${told(before)}, meanwhile ${told(meanwhile)}, begun at the halt ${unawareMs.map(seconds).join(', ')}`,
    `${saidGone} verdicts, ${failedRequests} requests failed`,
  ].join('; ');
}

/** By how much the median of some durations is longer than that of others; below 0 when it is shorter. */
function slowerPercent(before: readonly number[], meanwhile: readonly number[]): number {
  return (percentile(meanwhile, 0.5) / percentile(before, 0.5) - 1) * 100;
}
