import { randomUUID } from 'node:crypto';
import { type Drain, DrainState } from '../../../gen/obiente/cloud/v1/nodes_pb.ts';
import { watchContainers } from '../../faults/container-watch.ts';
import { deployOnOne, probeApplication } from '../application.ts';
import { type Cluster, containersOf, untilAllAre } from '../cluster.ts';
import type { ClusterNode } from '../cluster-node.ts';
import type { Experiment } from '../experiment.ts';
import { atMost, secondsOf } from '../figures.ts';
import { wholeDeployment } from '../invariants.ts';

/** What is on the node that is drained. */
const DEPLOYMENTS = 10;

/** What each of them is asked a second: together as much as in the other experiments. */
const PER_SECOND = 5;

/** How many have left when the orchestrator is killed. */
const KILLED_AFTER = 3;

/** Empties one node under load, the next one each time; every other time the orchestrator is killed in the middle. */
export const nodeDrained: Experiment = {
  name: 'node-drained',
  about: 'a node with ten deployments is drained under load, killed in the middle every other time: no request fails',
  runs: 2,
  run: async (cluster, { runs, tell }) => {
    const tookMs: number[] = [];
    const failed: number[] = [];
    const breaks: string[] = [];
    let asked = 0;
    for (let run = 0; run < runs; run += 1) {
      const found = await drainOne(cluster, { index: run % cluster.nodes.length, isKilled: run % 2 === 1 });
      tookMs.push(found.tookMs);
      failed.push(found.failed);
      asked += found.asked;
      breaks.push(...found.breaks.map((text) => `run ${run + 1}: ${text}`));
      const seconds = (found.tookMs / 1000).toFixed(1);
      tell(`${run + 1}: emptied after ${seconds} s; ${found.failed} of ${found.asked} requests failed`);
    }
    const sum = failed.reduce((total, count) => total + count, 0);
    return {
      runs,
      figures: [
        ...secondsOf(`${DEPLOYMENTS} deployments moved`, tookMs, null),
        atMost(0, { name: `failed requests of ${asked}`, value: sum, unit: '' }),
      ],
      breaks,
    };
  },
};

interface Emptied {
  readonly tookMs: number;
  readonly asked: number;
  readonly failed: number;
  readonly breaks: readonly string[];
}

async function drainOne(
  cluster: Cluster,
  of: { readonly index: number; readonly isKilled: boolean },
): Promise<Emptied> {
  const node = cluster.nodes[of.index];
  if (!node) throw new Error('there is no such node');
  await untilAllAre(cluster, 'ready');
  const subjects = await deployOnOne(cluster, node, DEPLOYMENTS);
  const clients = cluster.nodes.map(({ docker }) => docker.client);
  const watch = await watchContainers(clients, cluster.instance);
  const probers = await Promise.all(subjects.map((subject) => probeApplication(cluster, subject, PER_SECOND)));
  try {
    const begun = performance.now();
    const drain = await untilDrained(cluster, node, of.isKilled);
    const tookMs = performance.now() - begun;
    const reports = await Promise.all(probers.map((prober) => prober.stop()));
    const whole = await Promise.all(subjects.map(({ id }) => wholeDeployment(cluster, id, 1)));
    const left = await Promise.all(subjects.map(({ id }) => containersOf(id, [node])));
    return {
      tookMs,
      asked: reports.reduce((sum, { total }) => sum + total, 0),
      failed: reports.reduce((sum, { failed }) => sum + failed.length, 0),
      breaks: [
        ...watch.takeBreaks(),
        ...whole.flat(),
        ...left.flat().map(({ replica }) => `replica ${replica} is left on ${node.nodeId}`),
        ...(drain.state === DrainState.DONE && drain.moved === DEPLOYMENTS ? [] : [`${drain.moved} moved`]),
      ],
    };
  } finally {
    await Promise.all(probers.map((prober) => prober.stop()));
    watch.close();
    await cluster.api.nodes.uncordonNode({ nodeId: node.nodeId });
    await Promise.all(subjects.map((subject) => subject.remove()));
  }
}

async function untilDrained({ api, processes }: Cluster, { nodeId }: ClusterNode, isKilled: boolean): Promise<Drain> {
  let { drain } = await api.nodes.drainNode({ nodeId, reason: `a drill, ${randomUUID()}` });
  let toKill = isKilled;
  for await (const message of api.nodes.watchDrain({ nodeId })) {
    drain = message.drain ?? drain;
    const gone = DEPLOYMENTS - (drain?.left.length ?? DEPLOYMENTS);
    if (!toKill || gone < KILLED_AFTER) continue;
    toKill = false;
    await processes.kill('orchestrator').restarted;
  }
  if (!drain) throw new Error('there is no drain');
  return drain;
}
