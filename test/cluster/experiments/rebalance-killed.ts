import { REBALANCE_WORKFLOW_ID } from '../../../contracts/rebalance.ts';
import { type Rebalance, RebalanceState } from '../../../gen/obiente/cloud/v1/placement_pb.ts';
import { watchContainers } from '../../faults/container-watch.ts';
import { readCommits } from '../../faults/history.ts';
import { deployOnOne, probeApplication } from '../application.ts';
import { type Cluster, untilAllAre } from '../cluster.ts';
import type { Experiment } from '../experiment.ts';
import { atMost, secondsOf } from '../figures.ts';
import { wholeDeployment } from '../invariants.ts';
import { killOrchestratorAt } from '../kill-at-event.ts';

/** All on one node, so that two thirds of them want to leave it. */
const DEPLOYMENTS = 6;

/** What each of them is asked a second. */
const PER_SECOND = 5;

/** One plan that was carried out. */
interface Balanced {
  readonly tookMs: number;
  /** The first event of each part in which the rebalance was stored. */
  readonly events: readonly number[];
  readonly asked: number;
  readonly failed: number;
  readonly breaks: readonly string[];
}

/** Puts everything on one node and has it spread; at each event of the rebalance, the orchestrator is killed. */
export const rebalanceKilled: Experiment = {
  name: 'rebalance-killed',
  about:
    'a plan of moves is carried out under load, the orchestrator killed at each event: all are made, no request fails',
  runs: 1,
  run: async (cluster, { runs, tell }) => {
    const breaks: string[] = [];
    const [unharmed, killed]: [number[], number[]] = [[], []];
    let [asked, failed] = [0, 0];
    const note = (balanced: Balanced, what: string): void => {
      breaks.push(...balanced.breaks.map((text) => `${what}: ${text}`));
      asked += balanced.asked;
      failed += balanced.failed;
      const requests = `${balanced.failed} of ${balanced.asked} requests failed`;
      tell(`  ${what}: ${(balanced.tookMs / 1000).toFixed(1)} s; ${requests} ${balanced.breaks.join(', ')}`);
    };
    for (let run = 0; run < runs; run += 1) {
      const first = await rebalanceOnce(cluster, null);
      unharmed.push(first.tookMs);
      note(first, 'unharmed');
      for (const event of first.events) {
        const balanced = await rebalanceOnce(cluster, event);
        killed.push(balanced.tookMs);
        note(balanced, `kill at event ${event}`);
      }
    }
    return {
      runs,
      figures: [
        ...secondsOf('a rebalance', unharmed, null),
        ...secondsOf(`a rebalance with the orchestrator killed, ${killed.length}`, killed, null),
        atMost(0, { name: `failed requests of ${asked}`, value: failed, unit: '' }),
      ],
      breaks,
    };
  },
};

async function rebalanceOnce(cluster: Cluster, event: number | null): Promise<Balanced> {
  await untilAllAre(cluster, 'ready');
  const [first] = cluster.nodes;
  if (!first) throw new Error('there is no node');
  const subjects = await deployOnOne(cluster, first, DEPLOYMENTS);
  const clients = cluster.nodes.map(({ docker }) => docker.client);
  const watch = await watchContainers(clients, cluster.instance);
  const probers = await Promise.all(subjects.map((subject) => probeApplication(cluster, subject, PER_SECOND)));
  const ended = new AbortController();
  try {
    const begun = performance.now();
    const { rebalance } = await cluster.api.placement.applyRebalance({ maxMoves: DEPLOYMENTS });
    const at = { workflowId: REBALANCE_WORKFLOW_ID, event: event ?? 0, signal: ended.signal };
    const struck = event === null ? undefined : killOrchestratorAt(cluster, at);
    const last = await untilBalanced(cluster, rebalance);
    const tookMs = performance.now() - begun;
    ended.abort();
    await struck;
    const commits = await readCommits(cluster.temporal, REBALANCE_WORKFLOW_ID);
    const reports = await Promise.all(probers.map((prober) => prober.stop()));
    const whole = await Promise.all(subjects.map(({ id }) => wholeDeployment(cluster, id, 1)));
    const isMade = last.state === RebalanceState.DONE && last.planned > 0 && last.moved === last.planned;
    return {
      tookMs,
      events: commits.map(({ first }) => first),
      asked: reports.reduce((sum, { total }) => sum + total, 0),
      failed: reports.reduce((sum, report) => sum + report.failed.length, 0),
      breaks: [
        ...(isMade ? [] : [`${last.moved} of ${last.planned} moves were made, state ${last.state}`]),
        ...whole.flat(),
        ...watch.takeBreaks(),
      ],
    };
  } finally {
    ended.abort();
    await Promise.all(probers.map((prober) => prober.stop()));
    watch.close();
    await Promise.all(subjects.map((subject) => subject.remove()));
  }
}

async function untilBalanced({ api }: Cluster, begun: Rebalance | undefined): Promise<Rebalance> {
  let last = begun;
  for await (const { rebalance } of api.placement.watchRebalance({})) last = rebalance ?? last;
  if (!last) throw new Error('nothing is to be moved');
  return last;
}
