import { parseArgs } from 'node:util';
import { cleaningUp } from '../../bench/clean-up.ts';
import { DOCKER_TREES } from '../../scripts/machine/docker-tree.mjs';
import { type Cluster, openCluster } from './cluster.ts';
import type { Experiment, ExperimentOutcome } from './experiment.ts';
import { cleanedUp } from './experiments/cleaned-up.ts';
import { containerdFrozen, dockerdFrozen } from './experiments/daemon-frozen.ts';
import { dataMoved } from './experiments/data-moved.ts';
import { diskFull } from './experiments/disk-full.ts';
import { dockerdKilled } from './experiments/dockerd-killed.ts';
import { healKilled } from './experiments/heal-killed.ts';
import { managerAway } from './experiments/manager-away.ts';
import { nodeDrained } from './experiments/node-drained.ts';
import { nodeJoined } from './experiments/node-joined.ts';
import { nodeLost } from './experiments/node-lost.ts';
import { rebalanceKilled } from './experiments/rebalance-killed.ts';
import { swarmNodeLost } from './experiments/swarm-node-lost.ts';
import { nothingLeft } from './invariants.ts';
import { type ExperimentResult, holds, toTable, writeReport } from './report.ts';

const EXPERIMENTS: readonly Experiment[] = [
  nodeLost,
  swarmNodeLost,
  nodeDrained,
  nodeJoined,
  dockerdFrozen,
  containerdFrozen,
  dockerdKilled,
  cleanedUp,
  dataMoved,
  diskFull,
  healKilled,
  rebalanceKilled,
  managerAway,
];

const { values, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    ...{ runs: { type: 'string' }, docker: { type: 'string' }, runtime: { type: 'string', default: 'docker' } },
    managers: { type: 'string', default: '3' },
  },
});
const dockerVersions = values.docker?.split(',') ?? [];
const unheard = dockerVersions.filter((version) => !DOCKER_TREES.includes(version));
if (unheard.length > 0) {
  process.stderr.write(`--docker: ${unheard.join(', ')} is none of ${DOCKER_TREES.join(', ')}\n`);
  process.exit(2);
}
const unknown = wanted.filter((name) => !EXPERIMENTS.some((experiment) => experiment.name === name));
if (unknown.length > 0) {
  const known = EXPERIMENTS.map(({ name, about }) => `${name.padEnd(16)} ${about}\n`).join('');
  process.stderr.write(`no experiment is called ${unknown.join(', ')}; there are:\n${known}`);
  process.exit(2);
}
const { runtime } = values;
if (runtime !== 'docker' && runtime !== 'swarm') {
  process.stderr.write(`--runtime: found ${runtime}, allowed are docker and swarm\n`);
  process.exit(2);
}
const managers = Number(values.managers);
if (![1, 2, 3].includes(managers)) {
  process.stderr.write(`--managers: found ${values.managers}, allowed are 1 to 3\n`);
  process.exit(2);
}
process.exit(await runAll(runtime));

async function runAll(on: 'docker' | 'swarm'): Promise<number> {
  const results: ExperimentResult[] = [];
  await cleaningUp(async (stack) => {
    const cluster = await openCluster(stack, { runtime: on, dockerVersions, managers });
    const engines = await Promise.all(cluster.nodes.map(({ docker }) => docker.client.version()));
    tell(`Docker Engines: ${engines.map(({ Version }) => Version).join(', ')}`);
    for (const experiment of EXPERIMENTS) {
      if (wanted.length > 0 && !wanted.includes(experiment.name)) continue;
      process.stdout.write(`\n${experiment.name}: ${experiment.about}\n`);
      results.push({ name: experiment.name, ...(await runOne(experiment, cluster, stack)) });
    }
  });
  await writeReport(results);
  process.stdout.write(`\n${toTable(results)}`);
  return results.every(holds) ? 0 : 1;
}

/** One that comes to no end leaves the others to be run. */
async function runOne(
  experiment: Experiment,
  cluster: Cluster,
  stack: AsyncDisposableStack,
): Promise<ExperimentOutcome> {
  const runs = Number(values.runs ?? experiment.runs);
  try {
    const outcome = await experiment.run(cluster, { runs, stack, tell });
    return { ...outcome, breaks: [...outcome.breaks, ...(await nothingLeft(cluster))] };
  } catch (error) {
    return { runs, figures: [], breaks: [`came to no end: ${String(error)}`] };
  }
}

function tell(line: string): void {
  process.stdout.write(`${line}\n`);
}
